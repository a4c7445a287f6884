// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs a fuzz target over its corpus, without libFuzzer: for `make check`, with any compiler.
 * Arguments are files and directories; without any, tests/fuzz/corpus/NAME for fuzz_NAME. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long inputs;

static int replay_file(const char *path, size_t size)
{
	/* Exactly as long as the input, so that a sanitizer sees one byte too many. */
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");
	int error = -1;

	if (file && data && fread(data, 1, size, file) == size) {
		/* The last one named is the one that crashed. */
		fprintf(stderr, "%s\n", path);
		LLVMFuzzerTestOneInput(data, size);
		inputs++;
		error = 0;
	} else {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	}
	if (file)
		fclose(file);
	free(data);
	return error;
}

static int replay(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int count, error = 0;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char inner[4096];

		snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && replay(inner) < 0)
			error = -1;
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return error;
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "fuzz_");
	char corpus[256];
	int error = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		error |= replay(argv[i]);
	if (argc == 1) {
		snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%s", name ? name + 5 : "");
		error = replay(corpus);
	}
	if (!inputs)
		fprintf(stderr, "no input was found\n");
	printf("%lu inputs\n", inputs);
	return error || !inputs ? 1 : 0;
}
