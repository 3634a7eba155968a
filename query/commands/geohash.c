#include "query/commands/geohash.h"

#include <math.h>

#define EARTH_RADIUS_M    6372797.560856
#define MERCATOR_MAX      20037726.37
#define RADIANS_OF_DEGREE (M_PI / 180.0)
#define LONGITUDE_BITS    0xaaaaaaaaaaaaaaaau
#define LATITUDE_BITS     0x5555555555555555u
#define TEXT_LATITUDE_MAX 90.0

/* ---- bits -------------------------------------------------------------------------- */

/* A zero between any two bits. */
static uint64_t spread(uint32_t value)
{
	uint64_t bits = value;
	bits = (bits | bits << 16) & 0x0000ffff0000ffffu;
	bits = (bits | bits << 8) & 0x00ff00ff00ff00ffu;
	bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0fu;
	bits = (bits | bits << 2) & 0x3333333333333333u;
	return (bits | bits << 1) & 0x5555555555555555u;
}

/* Every other bit. */
static uint32_t gather(uint64_t bits)
{
	bits &= 0x5555555555555555u;
	bits = (bits | bits >> 1) & 0x3333333333333333u;
	bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0fu;
	bits = (bits | bits >> 4) & 0x00ff00ff00ff00ffu;
	bits = (bits | bits >> 8) & 0x0000ffff0000ffffu;
	return (uint32_t)(bits | bits >> 16);
}

struct hash {
	uint64_t bits;
	int steps; /* 0: none */
};

static uint64_t encode(struct geo_place place, double latitude_max, int steps)
{
	double latitude = (place.latitude + latitude_max) / (latitude_max + latitude_max);
	double longitude = (place.longitude + GEO_LONGITUDE_MAX) / (GEO_LONGITUDE_MAX + GEO_LONGITUDE_MAX);
	latitude *= (double)(1ull << steps);
	longitude *= (double)(1ull << steps);
	return spread((uint32_t)latitude) | spread((uint32_t)longitude) << 1;
}

struct area {
	struct geo_place min, max;
};

static double edge(uint32_t number, int steps, double max)
{
	return -max + (number * 1.0 / (double)(1ull << steps)) * (max + max);
}

static struct area area_of(struct hash hash)
{
	uint32_t latitude = gather(hash.bits), longitude = gather(hash.bits >> 1);
	return (struct area){
	        {edge(longitude, hash.steps, GEO_LONGITUDE_MAX), edge(latitude, hash.steps, GEO_LATITUDE_MAX)},
	        {edge(longitude + 1, hash.steps, GEO_LONGITUDE_MAX), edge(latitude + 1, hash.steps, GEO_LATITUDE_MAX)},
	};
}

/* ---- places ------------------------------------------------------------------------ */

bool geo_is_valid(struct geo_place place)
{
	return place.longitude >= -GEO_LONGITUDE_MAX && place.longitude <= GEO_LONGITUDE_MAX &&
	       place.latitude >= -GEO_LATITUDE_MAX && place.latitude <= GEO_LATITUDE_MAX;
}

double geo_score(struct geo_place place) { return (double)encode(place, GEO_LATITUDE_MAX, GEO_STEPS_MAX); }

/* As x86-64 truncates a double to 64 bits, those that have no such number too. */
static uint64_t truncated(double value)
{
	const double half = 9223372036854775808.0;
	bool is_high = value >= half;
	double low = is_high ? value - half : value;
	int64_t number = low >= -half && low < half ? (int64_t)low : INT64_MIN;
	return (uint64_t)number ^ (is_high ? (uint64_t)1 << 63 : 0);
}

static double within(double value, double max) { return value > max ? max : value < -max ? -max : value; }

struct geo_place geo_place_of(double score)
{
	struct area area = area_of((struct hash){truncated(score), GEO_STEPS_MAX});
	return (struct geo_place){
	        within((area.min.longitude + area.max.longitude) / 2, GEO_LONGITUDE_MAX),
	        within((area.min.latitude + area.max.latitude) / 2, GEO_LATITUDE_MAX),
	};
}

/* 52 bits make ten letters; the eleventh says nothing. */
void geo_text(struct geo_place place, char out[GEO_TEXT_SIZE])
{
	static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";
	uint64_t bits = encode(place, TEXT_LATITUDE_MAX, GEO_STEPS_MAX);
	for (int i = 0; i < GEO_TEXT_SIZE - 1; i++)
		out[i] = letters[bits >> (52 - (i + 1) * 5) & 31];
	out[GEO_TEXT_SIZE - 1] = letters[0];
}

/* ---- distances --------------------------------------------------------------------- */

static double radians(double degrees) { return degrees * RADIANS_OF_DEGREE; }
static double degrees(double radians_) { return radians_ / RADIANS_OF_DEGREE; }

static double distance_of_latitudes(double a, double b) { return EARTH_RADIUS_M * fabs(radians(b) - radians(a)); }

double geo_distance_m(struct geo_place a, struct geo_place b)
{
	double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);
	if (v == 0.0)
		return distance_of_latitudes(a.latitude, b.latitude);
	double latitude_a = radians(a.latitude), latitude_b = radians(b.latitude);
	double u = sin((latitude_b - latitude_a) / 2);
	return 2.0 * EARTH_RADIUS_M * asin(sqrt(u * u + cos(latitude_a) * cos(latitude_b) * v * v));
}

static bool is_in_box(const struct geo_shape *shape, struct geo_place place)
{
	struct geo_place beside = {shape->center.longitude, place.latitude};
	return distance_of_latitudes(place.latitude, shape->center.latitude) <= shape->height * shape->unit_m / 2 &&
	       geo_distance_m(place, beside) <= shape->width * shape->unit_m / 2;
}

bool geo_is_within(const struct geo_shape *shape, struct geo_place place, double *out_m)
{
	if (shape->is_box && !is_in_box(shape, place))
		return false;
	*out_m = geo_distance_m(shape->center, place);
	return shape->is_box || *out_m <= shape->radius * shape->unit_m;
}

/* ---- cells that cover a shape -------------------------------------------------------- */

static struct area bounds_of(const struct geo_shape *shape)
{
	struct geo_place center = shape->center;
	double height = shape->unit_m * (shape->is_box ? shape->height / 2 : shape->radius);
	double width = shape->unit_m * (shape->is_box ? shape->width / 2 : shape->radius);
	double latitudes = degrees(height / EARTH_RADIUS_M);
	/* A box is widest in degrees at its edge that is nearer to a pole. */
	double widest = center.latitude < 0 ? center.latitude - latitudes : center.latitude + latitudes;
	double longitudes = degrees(width / EARTH_RADIUS_M / cos(radians(widest)));
	return (struct area){{center.longitude - longitudes, center.latitude - latitudes},
	                     {center.longitude + longitudes, center.latitude + latitudes}};
}

/* How deep cells lie that are about as large as the shape; larger ones near the poles. */
static int steps_for(double radius_m, double latitude)
{
	int steps = 1;
	if (radius_m == 0)
		return GEO_STEPS_MAX;
	for (; radius_m < MERCATOR_MAX; radius_m *= 2)
		steps++;
	steps -= 2;
	if (latitude > 66 || latitude < -66)
		steps -= latitude > 80 || latitude < -80 ? 2 : 1;
	return steps < 1 ? 1 : steps > GEO_STEPS_MAX ? GEO_STEPS_MAX : steps;
}

/* One cell on in longitudes or latitudes, whose bits are `own`; round the earth if need be. */
static uint64_t step(uint64_t bits, uint64_t own, int steps, int by)
{
	uint64_t others = ~own, used = UINT64_MAX >> (64 - 2 * steps);
	uint64_t moved = bits & own, gaps = others & used;
	if (by > 0)
		moved += gaps + 1;
	else if (by < 0)
		moved = (moved | gaps) - (gaps + 1);
	else
		return bits;
	return (moved & own & used) | (bits & others);
}

struct direction {
	int east, north;
};

static struct hash neighbor(struct hash hash, struct direction direction)
{
	hash.bits = step(hash.bits, LONGITUDE_BITS, hash.steps, direction.east);
	hash.bits = step(hash.bits, LATITUDE_BITS, hash.steps, direction.north);
	return hash;
}

/* Do the cells beside it reach as far as the shape? */
static bool reaches(struct hash hash, const struct area *bounds)
{
	return area_of(neighbor(hash, (struct direction){0, 1})).max.latitude >= bounds->max.latitude &&
	       area_of(neighbor(hash, (struct direction){0, -1})).min.latitude <= bounds->min.latitude &&
	       area_of(neighbor(hash, (struct direction){1, 0})).max.longitude >= bounds->max.longitude &&
	       area_of(neighbor(hash, (struct direction){-1, 0})).min.longitude <= bounds->min.longitude;
}

/* Is the shape all on this side of what lies in that direction? */
static bool is_useless(struct direction direction, const struct area *area, const struct area *bounds)
{
	return (direction.north < 0 && area->min.latitude < bounds->min.latitude) ||
	       (direction.north > 0 && area->max.latitude > bounds->max.latitude) ||
	       (direction.east < 0 && area->min.longitude < bounds->min.longitude) ||
	       (direction.east > 0 && area->max.longitude > bounds->max.longitude);
}

static struct geo_cell cell_of(struct hash hash)
{
	int shift = 2 * (GEO_STEPS_MAX - hash.steps);
	return (struct geo_cell){(double)(hash.bits << shift), (double)((hash.bits + 1) << shift)};
}

int geo_cover(const struct geo_shape *shape, struct geo_cell out[GEO_CELLS_MAX])
{
	static const struct direction directions[GEO_CELLS_MAX] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
	                                                           {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
	struct area bounds = bounds_of(shape);
	double half_width = shape->width / 2, half_height = shape->height / 2;
	double radius = shape->is_box ? sqrt(half_width * half_width + half_height * half_height) : shape->radius;
	struct hash hash = {.steps = steps_for(radius * shape->unit_m, shape->center.latitude)};
	hash.bits = encode(shape->center, GEO_LATITUDE_MAX, hash.steps);
	if (hash.steps > 1 && !reaches(hash, &bounds))
		hash.bits = encode(shape->center, GEO_LATITUDE_MAX, --hash.steps);
	struct area area = area_of(hash);
	struct hash last = {0};
	int n = 0;
	for (int i = 0; i < GEO_CELLS_MAX; i++) {
		struct hash beside = neighbor(hash, directions[i]);
		if (i > 0 && hash.steps >= 2 && is_useless(directions[i], &area, &bounds))
			continue;
		/* Where cells are very large one is beside itself. */
		if (last.steps && beside.bits == last.bits)
			continue;
		out[n++] = cell_of(beside);
		if (i > 0)
			last = beside;
	}
	return n;
}
