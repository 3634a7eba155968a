/* The command table: finding rows, naming what is wrong with a request. */
#include "engine/memory/memory.h"
#include "query/commands/command.h"
#include "tests/support/runner.h"

#include <criterion/criterion.h>
#include <ctype.h>

static struct command_index *table;

static void table_start(void) { table = command_index_new(); }
static void table_stop(void) { command_index_free(table); }

TestSuite(table, .init = table_start, .fini = table_stop);
TestSuite(resolve, .init = runner_start, .fini = runner_stop);

static const struct command *find(const char *name) { return command_find(table, slice_from_str(name)); }

Test(table, finds_every_row_in_any_case)
{
	for (const struct command_group *group = command_groups; group->name; group++) {
		for (const struct command *row = group->rows; row->name; row++) {
			char name[64];
			size_t len = strlen(row->name);
			cr_assert_eq(find(row->name), row);
			for (size_t i = 0; i <= len; i++)
				name[i] = (char)(i % 2 ? tolower(row->name[i]) : row->name[i]);
			cr_assert_eq(find(name), row, "%s", name);
			cr_assert_str_eq(command_group_name(table, row), group->name);
		}
	}
}

Test(table, finds_nothing_that_is_only_near)
{
	for (const struct command_group *group = command_groups; group->name; group++) {
		for (const struct command *row = group->rows; row->name; row++) {
			uint8_t name[64];
			size_t len = strlen(row->name);
			for (size_t i = 0; i < len; i++) {
				/* The bits that tell letters from signs, and cases. */
				for (unsigned bit = 0; bit < 8; bit++) {
					memcpy(name, row->name, len);
					name[i] ^= (uint8_t)(1u << bit);
					const struct command *found = command_find(table, slice_of(name, len));
					bool is_same = ascii_lower(name[i]) == ascii_lower((uint8_t)row->name[i]);
					cr_assert_eq(found == row, is_same, "%.*s", (int)len, (char *)name);
				}
			}
			memcpy(name, row->name, len + 1);
			cr_assert_null(command_find(table, slice_of(name, len + 1)), "%s and a NUL", row->name);
		}
	}
	cr_assert_null(command_find(table, S("")));
	cr_assert_null(command_find(table, S("A VERY LONG NAME THAT NO COMMAND HAS")));
}

Test(table, numbers_rows_without_gaps)
{
	uint32_t n = command_count(table);
	cr_assert_gt(n, 0u);
	for (uint32_t number = 0; number < n; number++) {
		const struct command *row = command_by_number(table, number);
		cr_assert_eq(command_number(table, row), number);
		for (uint32_t other = 0; other < number; other++)
			cr_assert_str_neq(command_full_name(table, row),
			                  command_full_name(table, command_by_number(table, other)));
	}
	cr_assert_str_eq(command_full_name(table, find("GETRANGE")), "getrange");
}

static void expect_keys(const char *name, uint32_t argc, int n, uint32_t first, uint32_t last)
{
	uint32_t keys[16];
	struct slice argv[16] = {{0}};
	cr_assert_eq(command_keys(find(name), argv, argc, keys, 16), n, "%s", name);
	cr_assert_eq(keys[0], first, "%s", name);
	cr_assert_eq(keys[n - 1], last, "%s", name);
	uint32_t untouched[2] = {0, 77};
	cr_assert_eq(command_keys(find(name), argv, argc, untouched, 1), n);
	cr_assert_eq(untouched[1], 77u);
}

Test(table, tells_where_keys_stand)
{
	expect_keys("GET", 2, 1, 1, 1);
	expect_keys("SET", 5, 1, 1, 1);
	expect_keys("MGET", 6, 5, 1, 5);
	expect_keys("MSET", 7, 3, 1, 5);
	expect_keys("BITOP", 6, 4, 2, 5);
	expect_keys("LCS", 5, 2, 1, 2);
}

Test(resolve, names_an_unknown_command_and_its_arguments)
{
	expect("foo", "-ERR unknown command 'foo', with args beginning with: ");
	expect("foo a 'b c' d", "-ERR unknown command 'foo', with args beginning with: 'a' 'b c' 'd' ");
	expect("fo\\x0ao a\\x0d\\x0ab", "-ERR unknown command 'fo o', with args beginning with: 'a  b' ");
	expect("foo\\x00bar a\\x00b c", "-ERR unknown command 'foo', with args beginning with: 'a' 'c' ");
}

Test(resolve, repeats_no_more_than_128_bytes)
{
	struct slice argv[3] = {{0}};
	uint8_t many[1000];
	memset(many, 'x', sizeof(many));
	for (size_t i = 0; i < 3; i++)
		argv[i] = slice_of(many, sizeof(many));
	const char *answer = runner_run_words(argv, 3);
	cr_assert_eq(strlen(answer), strlen("-ERR unknown command '', with args beginning with: '' ") + 2 * 128);
}

Test(resolve, counts_arguments)
{
	expect("get", "-ERR wrong number of arguments for 'get' command");
	expect("GET a b", "-ERR wrong number of arguments for 'get' command");
	expect("mset a", "-ERR wrong number of arguments for 'mset' command");
	expect("BITFIELD_RO", "-ERR wrong number of arguments for 'bitfield_ro' command");
}
