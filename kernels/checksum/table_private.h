/* table_private.h -- the 256 entries of a CRC table from those of its eight single bits.
 *
 * A CRC without its inversions is linear: the entry of a byte is the XOR of the entries
 * of its set bits. So a table is written as eight numbers, and the compiler does the rest.
 */
#pragma once

#define CRC_ENTRY(i, b0, b1, b2, b3, b4, b5, b6, b7)                                                               \
	(((i)&1 ? (b0) : 0) ^ ((i)&2 ? (b1) : 0) ^ ((i)&4 ? (b2) : 0) ^ ((i)&8 ? (b3) : 0) ^ ((i)&16 ? (b4) : 0) ^ \
	 ((i)&32 ? (b5) : 0) ^ ((i)&64 ? (b6) : 0) ^ ((i)&128 ? (b7) : 0))
#define CRC_ENTRIES_4(i, ...)                                                                        \
	CRC_ENTRY(i, __VA_ARGS__), CRC_ENTRY((i) + 1, __VA_ARGS__), CRC_ENTRY((i) + 2, __VA_ARGS__), \
	        CRC_ENTRY((i) + 3, __VA_ARGS__)
#define CRC_ENTRIES_16(i, ...)                                                                                   \
	CRC_ENTRIES_4(i, __VA_ARGS__), CRC_ENTRIES_4((i) + 4, __VA_ARGS__), CRC_ENTRIES_4((i) + 8, __VA_ARGS__), \
	        CRC_ENTRIES_4((i) + 12, __VA_ARGS__)
#define CRC_ENTRIES_64(i, ...)                                                                                        \
	CRC_ENTRIES_16(i, __VA_ARGS__), CRC_ENTRIES_16((i) + 16, __VA_ARGS__), CRC_ENTRIES_16((i) + 32, __VA_ARGS__), \
	        CRC_ENTRIES_16((i) + 48, __VA_ARGS__)

/* The arguments: what the bytes 1, 2, 4 ... 128 give. */
#define CRC_TABLE(...)                                                                                             \
	{                                                                                                          \
		CRC_ENTRIES_64(0, __VA_ARGS__), CRC_ENTRIES_64(64, __VA_ARGS__), CRC_ENTRIES_64(128, __VA_ARGS__), \
		        CRC_ENTRIES_64(192, __VA_ARGS__)                                                           \
	}
