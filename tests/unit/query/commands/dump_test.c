#include "engine/base/lzf.h"
#include "kernels/checksum/crc64.h"
#include "query/commands/string_limit.h"
#include "tests/unit/query/commands/keys_runner.h"

#include <stdlib.h>

static struct runner r;

static void setup(void) { runner_init(&r, 1); }
static void teardown(void) { runner_fini(&r); }

TestSuite(dump, .init = setup, .fini = teardown, .timeout = 120);

/* ---- words -------------------------------------------------------------------------------- */

static void set(struct slice value)
{
	struct slice argv[] = {S("SET"), S("k"), value};
	cr_assert(slice_equal(run_arguments(&r, argv, 3), S("+OK\r\n")));
}

/* A bulk reply's bytes. */
static struct slice bulk(struct slice reply)
{
	cr_assert_eq(reply.ptr[0], '$');
	const uint8_t *end = memchr(reply.ptr, '\n', reply.len);
	cr_assert_not_null(end);
	return slice_sub(reply, (size_t)(end - reply.ptr) + 1, reply.len - 2);
}

static struct buf dump(void)
{
	struct buf payload = {0};
	buf_append(&payload, bulk(run(&r, "DUMP k")));
	return payload;
}

static struct slice restore(struct slice payload)
{
	struct slice argv[] = {S("RESTORE"), S("copy"), S("0"), payload, S("REPLACE")};
	return run_arguments(&r, argv, 5);
}

static struct buf from_hex(const char *hex)
{
	struct buf bytes = {0};
	for (; *hex; hex += 2)
		buf_byte(&bytes, (uint8_t)strtoul((char[]){hex[0], hex[1], 0}, NULL, 16));
	return bytes;
}

/* A payload with a right footer around any value. */
static struct buf payload_of(struct slice typed_value, uint8_t version)
{
	struct buf payload = {0};
	buf_append(&payload, typed_value);
	buf_byte(&payload, version);
	buf_byte(&payload, 0);
	uint64_t crc = crc64(0, payload.ptr, payload.len);
	buf_append(&payload, slice_of(&crc, sizeof(crc)));
	return payload;
}

/* ---- as redis 7.0.15 writes ---------------------------------------------------------------- */

static const struct {
	const char *value, *payload;
} known[] = {
        {"", "00000a005d9b5c400f7fa2da"},
        {"1", "00c0010a002678e7b6d10111fc"},
        {"-1", "00c0ff0a000c937e2485089dc5"},
        {"127", "00c07f0a000db5eb315254c514"},
        {"128", "00c180000a00eb7ab3b510cf4b65"},
        {"-128", "00c0800a009966326d2f0c5bd9"},
        {"-129", "00c17fff0a001760822854808480"},
        {"32767", "00c1ff7f0a00495a37da17f4d52b"},
        {"32768", "00c2008000000a0045d82eedd5bda910"},
        {"-32768", "00c100800a00b540064753bb1ace"},
        {"-32769", "00c2ff7fffff0a00aee34c4d06c68536"},
        {"2147483647", "00c2ffffff7f0a002c74e59ee02eada1"},
        {"2147483648", "000a323134373438333634380a00e7b129a34c1d76ee"},
        {"-2147483648", "00c2000000800a00c74f873e33558187"},
        {"-2147483649", "000b2d323134373438333634390a00c261377908f2028c"},
        {"12345678901", "000b31323334353637383930310a00304e52d727176510"},
        {"123456789012", "000c3132333435363738393031320a00911001b1d116e7ac"},
        {"007", "00033030370a007258e27b4c69bad9"},
        {"+1", "00022b310a00c286f0d7439aee6f"},
        {"-0", "00022d300a00d5411fd9d6d050cc"},
        {"hello", "000568656c6c6f0a006372df766534200a"},
        {"aaaaaaaaaaaaaaaaaaaa", "001461616161616161616161616161616161616161610a0083b46b5e1b11acf1"},
        {"aaaaaaaaaaaaaaaaaaaaa", "00c30615016161e00a000a00fd0cb36807413f68"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "00c3094040016161e033000161610a00c3659612ce1cc46c"},
        {"abcdefghijklmnopqrstuvwxyz", "001a6162636465666768696a6b6c6d6e6f707172737475767778797a0a009e1b3f34abfc5f79"},
        {"9223372036854775807", "0013393232333337323033363835343737353830370a003a657e9481e85f22"},
        {"123456789012345678901", "00153132333435363738393031323334353637383930310a006861760ffaec377a"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         "00c3093f017878e032000178780a0072a017a560edf6e5"},
        {"abababababababababababababababababababababababababababababababab",
         "00c30a404002616261e032010161620a004cc1547abe320d13"},
};

Test(dump, writes_the_bytes_that_redis_writes)
{
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup(buf_fini) struct buf wanted = from_hex(known[i].payload);
		set(slice_from_str(known[i].value));
		cleanup(buf_fini) struct buf payload = dump();
		cr_expect(slice_equal(buf_slice(&payload), buf_slice(&wanted)), "'%s'", known[i].value);
		cr_expect(slice_equal(restore(buf_slice(&wanted)), S("+OK\r\n")));
		cr_expect(slice_equal(bulk(run(&r, "GET copy")), slice_from_str(known[i].value)));
	}
}

static uint64_t state;

static uint64_t next_random(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return state >> 33;
}

/* Text that repeats itself from near and far. */
static struct buf text_of(uint64_t seed, size_t len, unsigned letters)
{
	struct buf text = {0};
	state = seed;
	while (text.len < len) {
		uint64_t n = 1 + next_random() % 100, back = 1 + next_random() % 12000, again = next_random() % 2;
		for (; n > 0 && text.len < len; n--) {
			bool repeat = again && back <= text.len;
			buf_byte(&text, repeat ? text.ptr[text.len - back] : (uint8_t)('a' + next_random() % letters));
		}
	}
	return text;
}

/* Of what redis-server made of the same texts: how long, and the checksum over all of it. */
static const struct {
	uint64_t seed;
	size_t len;
	unsigned letters;
	size_t payload_len;
	uint64_t crc;
} packed[] = {
        {1, 22, 4, 34, 0x806abd2216d84b79},          {2, 25, 10, 37, 0x9e01392dd6f39391},
        {3, 30, 26, 42, 0x5ebd4eedc2c76d4b},         {4, 40, 2, 43, 0xae1f58b37f31d4d0},
        {5, 64, 4, 72, 0x10b497034c50023a},          {6, 100, 10, 113, 0x594c56eb8bad98a9},
        {7, 200, 26, 213, 0x185c7d96e9862abb},       {8, 500, 2, 279, 0xc3ec68ada65c6a90},
        {9, 1000, 4, 661, 0x7c68020b4aa49219},       {10, 3000, 10, 2293, 0x02b6536ebc12e18c},
        {11, 8192, 26, 6799, 0x833cad296e1ba55c},    {12, 8500, 2, 4387, 0xc3d90e82d9bcb073},
        {13, 20000, 4, 12014, 0x4701626cfcabdd80},   {14, 70000, 10, 38458, 0x7a14ca488d9fce4d},
        {15, 100000, 26, 65876, 0xac120559ae017ff2}, {16, 24, 2, 33, 0xd100c3d7ab9cba0f},
        {17, 25, 4, 37, 0x473aa8fd982d30cc},         {18, 28, 10, 40, 0x64cedd0b6e2f83e7},
        {19, 33, 26, 45, 0xfe603db2542db195},        {20, 43, 2, 46, 0x4f2153d727e8c5a6},
        {21, 67, 4, 80, 0x096d4c5637d0a77a},         {22, 103, 10, 116, 0x1bbec944f3f6242d},
        {23, 203, 26, 216, 0xb972adfbee2db6f3},      {24, 503, 2, 273, 0x310f0d5b787eb092},
        {25, 1003, 4, 642, 0x6348d97a82c417d4},      {26, 3003, 10, 2235, 0x075c5617ff769151},
        {27, 8195, 26, 6566, 0x4eb0fde30f7f8370},    {28, 8503, 2, 4263, 0xb09eabcd3136a924},
        {29, 20003, 4, 11864, 0x442a10b3a42c21ce},   {30, 70003, 10, 38541, 0x37b89b922797f1ed},
        {31, 100003, 26, 66589, 0xb9a6933cc2d24e44}, {32, 27, 2, 34, 0x125f0ee6150565d4},
        {33, 28, 4, 40, 0x5f198b5fef2b477c},         {34, 31, 10, 43, 0x121f8c40200839b3},
        {35, 36, 26, 48, 0x5db336ba84df086c},        {36, 46, 2, 44, 0x3c81a555f01d9bdc},
        {37, 70, 4, 77, 0xcc9251fb4d58c28b},         {38, 106, 10, 119, 0x01e6e9fe9c1007fc},
        {39, 206, 26, 219, 0x6e3b64c17cd011e4},      {40, 506, 2, 281, 0x7cf435c29739b9a4},
};

Test(dump, packs_long_texts_as_redis_does)
{
	for (size_t i = 0; i < array_len(packed); i++) {
		cleanup(buf_fini) struct buf text = text_of(packed[i].seed, packed[i].len, packed[i].letters);
		set(buf_slice(&text));
		cleanup(buf_fini) struct buf payload = dump();
		uint64_t crc;
		memcpy(&crc, payload.ptr + payload.len - sizeof(crc), sizeof(crc));
		cr_expect_eq(payload.len, packed[i].payload_len, "seed %lu", packed[i].seed);
		cr_expect_eq(crc, packed[i].crc, "seed %lu", packed[i].seed);
		cr_expect(slice_equal(restore(buf_slice(&payload)), S("+OK\r\n")));
		cr_expect(slice_equal(bulk(run(&r, "GET copy")), buf_slice(&text)));
	}
}

/* ---- RESTORE ------------------------------------------------------------------------------- */

#define WRONG_FOOTER S("-ERR DUMP payload version or checksum are wrong\r\n")
#define BAD_DATA     S("-ERR Bad data format\r\n")

Test(dump, refuses_every_truncation_and_flipped_bit)
{
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup(buf_fini) struct buf payload = from_hex(known[i].payload);
		for (size_t len = 0; len < payload.len; len++)
			cr_assert(slice_equal(restore(slice_of(payload.ptr, len)), WRONG_FOOTER));
		for (size_t bit = 0; bit < payload.len * 8; bit++) {
			payload.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_assert(slice_equal(restore(buf_slice(&payload)), WRONG_FOOTER), "'%s' bit %zu",
			          known[i].value, bit);
			payload.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		expect(&r, "EXISTS copy", ":0\r\n");
	}
}

/* The same with a footer that is right: what is inside must be looked at. */
Test(dump, survives_every_damage_under_a_right_checksum)
{
	size_t taken = 0, refused = 0;
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup(buf_fini) struct buf whole = from_hex(known[i].payload);
		size_t len = whole.len - 10;
		for (size_t cut = 0; cut < len; cut++) {
			cleanup(buf_fini) struct buf payload = payload_of(slice_of(whole.ptr, cut), 10);
			cr_assert(slice_equal(restore(buf_slice(&payload)), BAD_DATA), "'%s' cut at %zu",
			          known[i].value, cut);
		}
		for (size_t bit = 0; bit < len * 8; bit++) {
			whole.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cleanup(buf_fini) struct buf payload = payload_of(slice_of(whole.ptr, len), 10);
			struct slice said = restore(buf_slice(&payload));
			bool ok = slice_equal(said, S("+OK\r\n"));
			cr_assert(ok || slice_equal(said, BAD_DATA), "'%s' bit %zu", known[i].value, bit);
			taken += ok;
			refused += !ok;
			whole.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	cr_expect_gt(taken, 500);
	cr_expect_gt(refused, 200);
}

static void expect_value(const char *typed_value_hex, uint8_t version, struct slice said)
{
	cleanup(buf_fini) struct buf value = from_hex(typed_value_hex);
	cleanup(buf_fini) struct buf payload = payload_of(buf_slice(&value), version);
	struct slice answer = restore(buf_slice(&payload));
	cr_expect(slice_equal(answer, said), "%s: %.*s", typed_value_hex, (int)answer.len, answer.ptr);
}

Test(dump, reads_every_form_of_a_string)
{
	expect_value("000568656c6c6f", 6, S("+OK\r\n"));
	expect_value("000568656c6c6f", 12, S("+OK\r\n"));
	expect_value("000568656c6c6f", 13, WRONG_FOOTER);
	expect_value("00400568656c6c6f", 10, S("+OK\r\n"));
	expect_value("00800000000568656c6c6f", 10, S("+OK\r\n"));
	expect_value("0081000000000000000568656c6c6f", 10, S("+OK\r\n"));
	expect(&r, "GET copy", "$5\r\nhello\r\n");
	expect_value("00c185ff", 10, S("+OK\r\n"));
	expect(&r, "GET copy", "$4\r\n-123\r\n");
	expect(&r, "OBJECT ENCODING copy", "$3\r\nint\r\n");
	expect_value("00c305050478797a7879", 10, S("-ERR Bad data format\r\n"));
	expect_value("00c3060504"
	             "78797a7879",
	             10, S("+OK\r\n"));
	expect(&r, "GET copy", "$5\r\nxyzxy\r\n");
}

Test(dump, refuses_other_types_and_forms)
{
	static const char *const bad[] = {
	        "",
	        "00",
	        "01",
	        "ff",
	        "01016101",
	        "0082000000000568656c6c6f",
	        "00bf",
	        "00c4",
	        "00ff",
	        "00c0",
	        "00c101",
	        "00c2010203",
	        "00c3",
	        "00c303",
	        "00c30305",
	        "00c30305016161",
	        "00c3ff0561",
	        "00c0010a",
	        "00026161ff",
	        "0081ffffffffffffffff61",
	        "0080ffffffff61",
	        "00c381ffffffffffffffff0561",
	        "00c30481ffffffffffffffff01616101",
	        "00c3036020016161",
	        "00c3022000",
	};
	expect(&r, "SET copy old", "+OK\r\n");
	for (size_t i = 0; i < array_len(bad); i++)
		expect_value(bad[i], 10, BAD_DATA);
	expect(&r, "GET copy", "$3\r\nold\r\n");
}

/* A few bytes that claim to be much: 88 times is the most, and no more than a string holds. */
Test(dump, refuses_to_unpack_more_than_a_string_holds)
{
	enum { RUNS = STRING_SIZE_MAX / 264 + 1 };
	cleanup(buf_fini) struct buf stream = {0};
	buf_append(&stream, slice_of("\x00"
	                             "a",
	                             2));
	for (int i = 0; i < RUNS; i++)
		buf_append(&stream, slice_of("\xe0\xff\x00", 3));
	size_t len;
	cr_assert(lzf_measure(buf_slice(&stream), &len));
	cr_assert_gt(len, STRING_SIZE_MAX);
	cleanup(buf_fini) struct buf value = {0};
	buf_append(&value, slice_of("\x00\xc3\x80", 3));
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_byte(&value, (uint8_t)(stream.len >> shift));
	buf_byte(&value, 0x80);
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_byte(&value, (uint8_t)(len >> shift));
	buf_append(&value, buf_slice(&stream));
	cleanup(buf_fini) struct buf payload = payload_of(buf_slice(&value), 10);
	cr_expect(slice_equal(restore(buf_slice(&payload)), BAD_DATA));
}

static struct slice restore_with(const char *ttl, const char *option, const char *option2)
{
	cleanup(buf_fini) struct buf payload = from_hex("000568656c6c6f0a006372df766534200a");
	struct slice argv[] = {S("RESTORE"),
	                       S("copy"),
	                       slice_from_str(ttl),
	                       buf_slice(&payload),
	                       slice_from_str(option ? option : ""),
	                       slice_from_str(option2 ? option2 : "")};
	return run_arguments(&r, argv, 4 + !!option + !!option2);
}

static void expect_restored(struct slice said, const char *pttl)
{
	cr_expect(slice_equal(said, S("+OK\r\n")), "%.*s", (int)said.len, said.ptr);
	expect(&r, "PTTL copy", pttl);
}

Test(dump, restores_with_an_expiry)
{
	expect_restored(restore_with("0", NULL, NULL), ":-1\r\n");
	cr_expect(slice_equal(restore_with("0", NULL, NULL), S("-BUSYKEY Target key name already exists.\r\n")));
	expect_restored(restore_with("1500", "REPLACE", NULL), ":1500\r\n");
	expect_restored(restore_with("1700000000250", "replace", "absttl"), ":250\r\n");
	expect_restored(restore_with("0", "ABSTTL", "REPLACE"), ":-1\r\n");
	expect_restored(restore_with("1700000000000", "ABSTTL", "REPLACE"), ":-2\r\n");
	expect_restored(restore_with("1", "ABSTTL", NULL), ":-2\r\n");
	expect_restored(restore_with("9223372036854775807", "ABSTTL", NULL), ":9223370336854775807\r\n");
	expect_restored(restore_with("9223372036854775807", "REPLACE", NULL), ":9223370336854775807\r\n");
}

static void restore_used(const char *option, const char *value)
{
	cleanup(buf_fini) struct buf payload = from_hex("000568656c6c6f0a006372df766534200a");
	struct slice argv[] = {S("RESTORE"),         S("copy"),    S("0"),
	                       buf_slice(&payload),  S("REPLACE"), slice_from_str(option),
	                       slice_from_str(value)};
	cr_expect(slice_equal(run_arguments(&r, argv, array_len(argv)), S("+OK\r\n")));
}

Test(dump, restores_how_a_key_was_used)
{
	restore_used("IDLETIME", "0");
	expect(&r, "OBJECT IDLETIME copy", ":0\r\n");
	restore_used("IDLETIME", "1000");
	expect(&r, "OBJECT IDLETIME copy", ":1000\r\n");
	restore_used("IDLETIME", "9223372036854775807");
	r.client.now_ms += 1000 * 1000;
	expect(&r, "EXISTS copy", ":1\r\n");
	restore_used("FREQ", "200");
	expect(&r, "OBJECT IDLETIME copy", ":0\r\n");
	r.m.core[0]->shard->policy = EVICT_ALLKEYS_LFU;
	restore_used("FREQ", "200");
	expect(&r, "OBJECT FREQ copy", ":200\r\n");
	restore_used("FREQ", "0");
	expect(&r, "OBJECT FREQ copy", ":0\r\n");
	expect(&r, "DEL copy", ":1\r\n");
	restore_used("IDLETIME", "100");
	expect(&r, "OBJECT FREQ copy", ":5\r\n");
}
