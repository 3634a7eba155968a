/* Lists whose middle is compressed: which leaves are, what that saves, and bytes of leaves that may be anything. What
 * such lists hold is told by list_test.c. */
#include "storage/keyspace/list_private.h"

#include "engine/base/lzf.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/list.h"
#include "support.h"

static struct shard *shard;
static struct dice dice = {1};

static void begin(void) { shard = shard_new(NULL, SEED); }
static void end(void) { shard_free(shard); }
TestSuite(list_leaf, .init = begin, .fini = end, .timeout = 60);

static struct collection list_of(const struct key *key, uint32_t from, uint32_t to)
{
	struct collection list;
	char value[64];
	cr_assert_eq(collection_open(shard, key, OBJECT_LIST, FIND_QUIET, &list), OK);
	for (uint32_t i = from; i < to; i++)
		list_push(&list, LIST_TAIL,
		          slice_of(value, (size_t)snprintf(value, sizeof(value), "a value like others: %u", i)));
	return list;
}

/* 'p' for each plain leaf, 'c' for each compressed one; every one of the list's leaves is shorter than `room`. */
static const char *forms(const struct collection *list, char *room)
{
	struct tree_path path;
	char *to = room;
	for (bool more = tree_first(collection_tree(list->object), &path); more; more = tree_next(&path))
		*to++ = leaf_length(path.leaf) == path.leaf->len ? 'p' : 'c';
	*to = '\0';
	return room;
}

Test(list_leaf, those_between_the_ends_are_compressed_whatever_changes)
{
	char name[NAME_MAX_SIZE], room[64];
	struct key key = key_numbered(0, NULL, 1, name);
	shard->collections.list_leaf = 10;
	shard->collections.list_compress_depth = 2;
	struct collection list = list_of(&key, 0, 80);
	cr_assert_str_eq(forms(&list, room), "ppccccpp");
	list_set(&list, 35, S("another value"));
	cr_assert_str_eq(forms(&list, room), "ppccccpp");
	list_cut(&list, 0, 10);
	cr_assert_str_eq(forms(&list, room), "ppcccpp");
	list_cut(&list, 60, 10);
	cr_assert_str_eq(forms(&list, room), "ppccpp");
	list_push(&list, LIST_HEAD, S("one more"));
	cr_assert_str_eq(forms(&list, room), "ppcccpp");
	list_insert(&list, 35, S("a value that parts its leaf in two"));
	cr_assert_str_eq(forms(&list, room), "ppccccpp");
	list_cut(&list, 12, 40);
	cr_assert_str_eq(forms(&list, room), "pppp");
}

Test(list_leaf, a_setting_that_changes_leaves_others_readable)
{
	char name[NAME_MAX_SIZE], room[64], scratch[PACKED_SCRATCH], value[64];
	struct key key = key_numbered(0, NULL, 1, name);
	shard->collections.list_leaf = 10;
	shard->collections.list_compress_depth = 1;
	struct collection list = list_of(&key, 0, 50);
	cr_assert_str_eq(forms(&list, room), "pcccp");
	shard->collections.list_compress_depth = 0;
	list_cut(&list, 0, 10);
	cr_assert_str_eq(forms(&list, room), "cccp");
	list_push(&list, LIST_HEAD, S("a value like others: 9"));
	cr_assert_str_eq(forms(&list, room), "pcccp");
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	list_walk(list.object, 0, &walk);
	for (uint32_t i = 9; i < 50; i++) {
		cr_assert(list_next(&walk, &element));
		size_t len = (size_t)snprintf(value, sizeof(value), "a value like others: %u", i);
		cr_assert(slice_equal(packed_text(&element, scratch), slice_of(value, len)));
	}
}

Test(list_leaf, values_that_are_alike_take_a_fraction_of_the_memory)
{
	char names[2][NAME_MAX_SIZE];
	struct key plain = key_numbered(0, NULL, 1, names[0]), squeezed = key_numbered(0, NULL, 2, names[1]);
	struct collection list = list_of(&plain, 0, 20000);
	size_t before = collection_memory(list.object);
	shard->collections.list_compress_depth = 1;
	list = list_of(&squeezed, 0, 20000);
	cr_assert_lt(collection_memory(list.object) * 3, before);
	shard_verify(shard);
}

static struct slice compressed(struct buf *out, struct slice elements, uint32_t length)
{
	out->len = 0;
	buf_byte(out, 0xff);
	buf_append(out, slice_of(&length, sizeof(length)));
	out->len += lzf_pack(elements, buf_reserve(out, elements.len), elements.len);
	return buf_slice(out);
}

Test(list_leaf, bytes_that_are_no_leaf_are_refused)
{
	struct buf elements = {0}, bytes = {0};
	for (int i = 0; i < 20; i++)
		packed_write(buf_reserve(&elements, 32), S("as the others")),
		        elements.len += packed_size(S("as the others"));
	struct slice all = buf_slice(&elements);
	uint32_t length = (uint32_t)all.len;
	cr_assert(leaf_check(all, 20));
	cr_assert(leaf_check(compressed(&bytes, all, length), 20));
	cr_assert(!leaf_check(compressed(&bytes, all, length), 19));
	cr_assert(!leaf_check(compressed(&bytes, all, length - 1), 20));
	cr_assert(!leaf_check(compressed(&bytes, all, UINT32_MAX), 20));
	cr_assert(!leaf_check(compressed(&bytes, slice_sub(all, 0, all.len - 1), length - 1), 20));
	for (size_t len = 1; len < bytes.len; len++)
		cr_assert(!leaf_check(slice_of(compressed(&bytes, all, length).ptr, len), 20));
	for (int i = 0; i < 100000; i++) { /* a sanitizer looks on */
		struct slice good = compressed(&bytes, all, length);
		uint8_t *exact = memory_alloc(good.len);
		memcpy(exact, good.ptr, good.len);
		exact[roll(&dice, (uint32_t)good.len)] = (uint8_t)roll(&dice, 256);
		(void)leaf_check(slice_of(exact, good.len), 20);
		memory_free(exact);
	}
	buf_fini(&elements);
	buf_fini(&bytes);
}
