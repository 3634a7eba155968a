/* Runs a fuzzer over files and folders of files: the corpus, or an input that broke it. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	struct buf bytes = {0};
	for (;;) {
		size_t n = fread(buf_reserve(&bytes, 4096), 1, 4096, file);
		if (n == 0)
			break;
		bytes.len += n;
	}
	fclose(file);
	uint8_t *copy = fuzz_copy(buf_slice(&bytes));
	LLVMFuzzerTestOneInput(copy, bytes.len);
	free(copy);
	buf_fini(&bytes);
	return 1;
}

static int replay(const char *path)
{
	struct stat status;
	if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
		return replay_file(path);
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), files = 0;
	if (n < 0) {
		perror(path);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		struct buf inside = {0};
		buf_printf(&inside, "%s/%s%c", path, entries[i]->d_name, '\0');
		if (entries[i]->d_name[0] != '.')
			files += replay((const char *)inside.ptr);
		buf_fini(&inside);
		free(entries[i]);
	}
	free(entries);
	return files;
}

int main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++)
		files += replay(argv[i]);
	printf("%d inputs\n", files);
	return files > 0 ? 0 : 1;
}
