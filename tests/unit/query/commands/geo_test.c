/* The geo group, answer by answer. The answers are Redis 7.0's. */
#include "query/commands/geohash.h"
#include "tests/support/runner.h"

#include <criterion/criterion.h>
#include <math.h>

#define PALERMO  "\"13.36138933897018433\" \"38.11555639549629859\""
#define CATANIA  "\"15.08726745843887329\" \"37.50266842333162032\""
#define NO_PLACE "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH"
#define NO_SHAPE "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH"

static void start(void)
{
	runner_start();
	given("GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
	given("GEOADD Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2");
	given("SET s 1");
}

TestSuite(geo, .init = start, .fini = runner_stop, .timeout = 20);

Test(geo, members_have_places)
{
	expect("GEOPOS Sicily Palermo x Catania", "*3 *2 " PALERMO " nil* *2 " CATANIA);
	expect("GEOPOS absent x", "*1 nil*");
	expect("GEOHASH Sicily Palermo Catania x", "*3 \"sqc8b49rny0\" \"sqdtr74hyu0\" nil");
	expect("ZSCORE Sicily Palermo", ",3479099956230698");
	expect("GEODIST Sicily Palermo Catania", "\"166274.1516\"");
	expect("GEODIST Sicily Palermo Catania KM", "\"166.2742\"");
	expect("GEODIST Sicily Palermo Catania mi", "\"103.3182\"");
	expect("GEODIST Sicily Palermo Palermo ft", "\"0.0000\"");
	expect("GEODIST Sicily Palermo x", "nil");
	expect("GEODIST Sicily Palermo Catania m x", SYNTAX_ERROR);
	expect("GEODIST Sicily Palermo Catania yd", "-ERR unsupported unit provided. please use M, KM, FT, MI");
	expect("GEOPOS s x", WRONG_TYPE);
	expect("GEOHASH s x", WRONG_TYPE);
	expect("GEODIST s x y", WRONG_TYPE);
}

Test(geo, places_are_added_under_conditions)
{
	expect("GEOADD g 1 2 a 3 4 b", ":2");
	expect("GEOADD g XX CH 1 3 a 5 6 c", ":1");
	expect("GEOADD g NX 9 9 a 5 6 c", ":1");
	expect("ZCARD g", ":3");
	expect("GEOADD g NX XX 1 1 a", SYNTAX_ERROR);
	expect("GEOADD g 1 1 a 2", SYNTAX_ERROR);
	expect("GEOADD g 181 1 a", "-ERR invalid longitude,latitude pair 181.000000,1.000000");
	expect("GEOADD g 1 86 a", "-ERR invalid longitude,latitude pair 1.000000,86.000000");
	expect("GEOADD g x 1 a", "-ERR value is not a valid float");
	expect("GEOADD s 1 1 a", WRONG_TYPE);
}

Test(geo, shapes_are_searched)
{
	expect("GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC", "*2 \"Catania\" \"Palermo\"");
	expect("GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST",
	       "*4 *2 \"Catania\" \"56.4413\" *2 \"Palermo\" \"190.4424\" *2 \"edge2\" \"279.7403\" *2 \"edge1\" "
	       "\"279.7405\"");
	expect("GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 200 km DESC COUNT 1 WITHHASH WITHCOORD",
	       "*1 *3 \"Catania\" :3479447370796909 *2 " CATANIA);
	expect("GEORADIUS Sicily 15 37 200 km WITHDIST ASC",
	       "*2 *2 \"Catania\" \"56.4413\" *2 \"Palermo\" \"190.4424\"");
	expect("GEORADIUSBYMEMBER Sicily Palermo 100 km", "*2 \"Palermo\" \"edge1\"");
	expect("GEORADIUSBYMEMBER_RO Sicily Palermo 100 km COUNT 1", "*1 \"Palermo\"");
	expect("GEORADIUS_RO Sicily 15 37 1 m", "*0");
	expect("GEOSEARCH absent FROMMEMBER x BYRADIUS 1 m", "*0");
	expect("GEORADIUSBYMEMBER absent x what ever", "*0");
	expect("GEOSEARCH Sicily FROMMEMBER x BYRADIUS 1 m", "-ERR could not decode requested zset member");
	expect("GEOSEARCH Sicily BYRADIUS 1 m ASC DESC", NO_PLACE);
	expect("GEOSEARCH Sicily FROMMEMBER Palermo ASC DESC ASC", NO_SHAPE);
	expect("GEOSEARCH Sicily FROMMEMBER Palermo FROMLONLAT 1 2 BYRADIUS 1 m", SYNTAX_ERROR);
	expect("GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS -1 m", "-ERR radius cannot be negative");
	expect("GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 -1 m", "-ERR height or width cannot be negative");
	expect("GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 x m", "-ERR need numeric height");
	expect("GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m ANY", "-ERR the ANY argument requires COUNT argument");
	expect("GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m COUNT 0", "-ERR COUNT must be > 0");
	expect("GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 m", WRONG_TYPE);
}

Test(geo, what_is_found_is_stored)
{
	expect("GEOSEARCHSTORE t Sicily FROMLONLAT 15 37 BYBOX 400 400 km COUNT 3", ":3");
	expect("ZRANGE t 0 -1", "*3 \"Palermo\" \"Catania\" \"edge2\"");
	expect("GEOSEARCHSTORE t Sicily FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", ":2");
	expect("ZRANGE t 0 -1 WITHSCORES", "*4 \"Catania\" ,56.441257870158204 \"Palermo\" ,190.44242984775784");
	expect("GEORADIUS Sicily 15 37 200 km STORE u", ":2");
	expect("GEODIST u Palermo Catania", "\"166274.1516\"");
	expect("GEORADIUS Sicily 0 0 1 km STORE u", ":0");
	expect("EXISTS u", ":0");
	expect("GEORADIUS absent 0 0 1 km STORE t", ":0");
	expect("EXISTS t", ":0");
	expect("GEORADIUS Sicily 15 37 200 km STORE u WITHDIST",
	       "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
	expect("GEOSEARCHSTORE t Sicily FROMLONLAT 15 37 BYRADIUS 200 km WITHDIST",
	       "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
	expect("GEORADIUS_RO Sicily 15 37 200 km STORE u", SYNTAX_ERROR);
}

/* Whatever is near is found: against all places, one by one. */
Test(geo, cells_cover_shapes)
{
	uint64_t state = 1;
	for (int i = 0; i < 20000; i++) {
		double r[8];
		for (int k = 0; k < 8; k++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			r[k] = (double)(state >> 40) / (1 << 24);
		}
		struct geo_shape shape = {.center = {r[0] * 340 - 170, r[1] * 120 - 60}, .unit_m = 1, .is_box = i % 2};
		shape.radius = shape.width = pow(10, r[2] * 5.5);
		shape.height = pow(10, r[3] * 5.5);
		double reach = shape.radius / 111000, distance;
		struct geo_place place = {shape.center.longitude + (r[4] - 0.5) * 3 * reach,
		                          shape.center.latitude + (r[5] - 0.5) * 3 * reach};
		if (!geo_is_valid(place) || !geo_is_within(&shape, geo_place_of(geo_score(place)), &distance))
			continue;
		struct geo_cell cells[GEO_CELLS_MAX];
		bool found = false;
		for (int n = geo_cover(&shape, cells); n > 0; n--)
			found |= geo_score(place) >= cells[n - 1].from && geo_score(place) < cells[n - 1].to;
		cr_assert(found, "%f,%f of %f,%f in %f", place.longitude, place.latitude, shape.center.longitude,
		          shape.center.latitude, shape.radius);
	}
}
