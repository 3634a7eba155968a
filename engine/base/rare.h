/* rare.h -- limits so small that what is rare happens all the time.
 *
 * The simulator compiles the product with ORBIT_RARE and thus meets full rings, parked
 * messages and splitting segments in every run; all other builds have the usual value.
 */
#pragma once

#if ORBIT_RARE
#define RARE(usual, tiny) (tiny)
#else
#define RARE(usual, tiny) (usual)
#endif
