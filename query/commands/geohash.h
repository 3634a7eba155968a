/* geohash.h -- places on the earth as numbers that lie near each other where the places do.
 *
 * What      A hash halves longitude and latitude in turn, 26 times each: 52 bits, which a double holds. A prefix of it
 *           is a cell. Distances are those of the haversine formula on a sphere.
 * Exact     All results are Redis' to the last digit, so its order of operations is kept.
 * Source    Morton, "A Computer Oriented Geodetic Data Base and a New Technique in File Sequencing", IBM 1966.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GEO_LATITUDE_MAX  85.05112878
#define GEO_LONGITUDE_MAX 180.0

enum { GEO_STEPS_MAX = 26, GEO_TEXT_SIZE = 11 };

struct geo_place {
	double longitude, latitude;
};

/* Is it one that can be hashed? */
bool geo_is_valid(struct geo_place place);

/* The hash of a place, as a score; and the middle of what a score says, whatever it is. */
double geo_score(struct geo_place place);
struct geo_place geo_place_of(double score);

/* The hash as others write it: of latitudes up to the poles, eleven letters. */
void geo_text(struct geo_place place, char out[GEO_TEXT_SIZE]);

double geo_distance_m(struct geo_place a, struct geo_place b);

/* What is searched: a circle or a box around a place; sizes in units of `unit_m` metres. */
struct geo_shape {
	struct geo_place center;
	bool is_box;
	double radius, width, height;
	double unit_m;
};

/* Is a place in it? How far from the center. */
bool geo_is_within(const struct geo_shape *shape, struct geo_place place, double *out_m);

/* Scores [from, to) of a cell. */
struct geo_cell {
	double from, to;
};

/* Cells that cover a shape, in the order in which they are searched; how many. */
enum { GEO_CELLS_MAX = 9 };
int geo_cover(const struct geo_shape *shape, struct geo_cell out[GEO_CELLS_MAX]);
