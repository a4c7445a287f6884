// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/keys_file.h"
#include "cli/say.h"
#include "config/config.h"
#include "config/scalar.h"
#include "tls/issue.h"

static const char usage[] =
	"usage: sallyport keys list [--config FILE]\n"
	"       sallyport keys new --name NAME [--group GROUP]... [--expires DURATION]\n"
	"       sallyport keys rotate ID [--overlap DURATION]\n"
	"       sallyport keys revoke ID\n"
	"\n"
	"Keys by which clients prove who they are, in place of a service's key, which they never see.\n"
	"A key is shown once, when it is made: only a keyed hash of it is kept, in policy.keys_file.\n"
	"A running sallyportd takes changes at once. rotate makes another key of the same name and\n"
	"groups; the old one is valid for the overlap still (default: 0s).\n"
	"\n"
	"  -c, --config FILE      default " CONFIG_DEFAULT_PATH "\n"
	"  -n, --name NAME        whose key it is: letters, digits, '.', '_', '-' and '@'\n"
	"  -g, --group GROUP      a group that its owner is in; again for more\n"
	"  -e, --expires DURATION valid for so long, such as \"90d\"; default: until it is revoked\n"
	"  -o, --overlap DURATION\n";

struct request {
	const char *config_path, *name, *expires, *overlap, *id;
	char *groups[KEY_GROUPS];
	size_t ngroups;
};

static uint64_t now_s(void)
{
	return clock_realtime_ns() / NS_PER_S;
}

static int fail(const struct why *why)
{
	say("%s", why->text);
	return 1;
}

static int read_duration(const char *option, const char *text, uint64_t *seconds)
{
	uint64_t ns = 0;

	if (text && (scalar_duration(text, &ns) < 0 || ns % NS_PER_S || ns > 3650 * 86400 * NS_PER_S)) {
		say("%s: expected a duration in seconds or more, up to 3650d, such as \"90d\", found "
		    "\"%s\"",
			option, text);
		return 2;
	}
	*seconds = ns / NS_PER_S;
	return 0;
}

/* ---- list ---- */

static void print_time(uint64_t at)
{
	time_t time = (time_t)at;
	char text[32] = "-";
	struct tm tm;

	if (at && gmtime_r(&time, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%MZ", &tm);
	printf("%-18s", text);
}

static int keys_list(struct keys_file *file, const struct request *request)
{
	size_t n = key_table_count(file->table);

	(void)request;
	printf("%-13s%-9s%-18s%-18s%-24s%s\n", "ID", "STATE", "CREATED", "EXPIRES", "NAME", "GROUPS");
	for (size_t i = 0; i < n; i++) {
		const struct issued_key *key = key_table_at(file->table, i);

		printf("%-13s%-9s", key->id, key_state_name(key_state(key, now_s())));
		print_time(key->created_s);
		print_time(key->expires_s);
		printf("%-24s", key->name);
		for (size_t g = 0; g < key->ngroups; g++)
			printf("%s%s", g ? "," : "", key->groups[g]);
		putchar('\n');
	}
	return 0;
}

/* ---- changes ---- */

/* Adds one of that name and groups, and writes its text where it is to be shown. */
static int add(struct keys_file *file, const struct issued_key *like, char text[KEY_TEXT + 1],
	struct why *why)
{
	struct issued_key key = *like;
	struct slice id;
	int error;

	key.created_s = now_s();
	key.revoked_s = 0;
	if (!issue_text(text))
		return why_set(why, EIO, "there are no random numbers");
	key_text_read(slice_of(text, KEY_TEXT), &id);
	memcpy(key.id, id.data, KEY_ID);
	key.id[KEY_ID] = '\0';
	if (!issue_digest(key_table_salt(file->table), slice_of(text, KEY_TEXT), key.digest))
		return why_set(why, EIO, "the hash of the key cannot be made");
	error = key_table_add(file->table, &key);
	if (error == -ENOSPC)
		return why_set(why, ENOSPC, "%s: it has %d keys, and takes no more", file->path,
			KEY_MOST);
	return error ? why_set(why, -error, "no memory") : 0;
}

/* Told only once the file has it. */
static int show(struct keys_file *file, const char *text)
{
	struct why why;

	if (keys_file_write(file, &why))
		return fail(&why);
	printf("%s\n", text);
	fflush(stdout);
	keys_file_await(file);
	return 0;
}

static int keys_new(struct keys_file *file, const struct request *request)
{
	struct issued_key key = {.groups = (char **)request->groups, .ngroups = request->ngroups};
	char text[KEY_TEXT + 1];
	uint64_t seconds;
	struct why why;
	int status = read_duration("--expires", request->expires, &seconds);

	if (status)
		return status;
	snprintf(key.name, sizeof(key.name), "%s", request->name);
	key.expires_s = seconds ? now_s() + seconds : 0;
	if (add(file, &key, text, &why))
		return fail(&why);
	status = show(file, text);
	explicit_bzero(text, sizeof(text));
	return status;
}

static struct issued_key *find(struct keys_file *file, const char *id)
{
	struct issued_key *key = key_table_find(file->table, slice_of_string(id));

	if (!key)
		say("%s: there is no key with the id \"%s\": see sallyport keys list", file->path, id);
	else if (key->revoked_s)
		say("%s: the key \"%s\" is revoked already", file->path, id);
	return key && !key->revoked_s ? key : NULL;
}

static int keys_rotate(struct keys_file *file, const struct request *request)
{
	struct issued_key *old = find(file, request->id);
	char text[KEY_TEXT + 1];
	uint64_t seconds;
	struct why why;
	int status = read_duration("--overlap", request->overlap, &seconds);

	if (!old || status)
		return old ? status : 1;
	if (key_state(old, now_s()) == KEY_EXPIRED) {
		say("%s: the key \"%s\" has expired, and so would the next: sallyport keys new makes "
		    "another",
			file->path, request->id);
		return 1;
	}
	if (add(file, old, text, &why))
		return fail(&why);
	/* The table may have moved. */
	old = key_table_find(file->table, slice_of_string(request->id));
	if (!old->expires_s || old->expires_s > now_s() + seconds)
		old->expires_s = now_s() + seconds;
	status = show(file, text);
	explicit_bzero(text, sizeof(text));
	return status;
}

static int keys_revoke(struct keys_file *file, const struct request *request)
{
	struct issued_key *key = find(file, request->id);
	struct why why;

	if (!key)
		return 1;
	key->revoked_s = now_s();
	if (keys_file_write(file, &why))
		return fail(&why);
	keys_file_await(file);
	return 0;
}

/* ---- the command line ---- */

static const struct verb {
	const char *name;
	int (*run)(struct keys_file *file, const struct request *request);
	bool changes, id;
} verbs[] = {
	{"list", keys_list, false, false},
	{"new", keys_new, true, false},
	{"rotate", keys_rotate, true, true},
	{"revoke", keys_revoke, true, true},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* -1: it goes on. */
static int read_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'n'}, {"group", required_argument, NULL, 'g'},
		{"expires", required_argument, NULL, 'e'},
		{"overlap", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:n:g:e:o:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (option == 'c')
			request->config_path = optarg;
		else if (option == 'n')
			request->name = optarg;
		else if (option == 'e')
			request->expires = optarg;
		else if (option == 'o')
			request->overlap = optarg;
		else if (option == 'g' && request->ngroups < KEY_GROUPS)
			request->groups[request->ngroups++] = optarg;
		else {
			fputs(option == 'g' ? "sallyport keys: too many groups\n" : usage, stderr);
			return 2;
		}
	}
	return -1;
}

/* 0, or the exit status. */
static int check_names(const struct verb *verb, const struct request *request)
{
	if (verb->run == keys_new && !key_name_fits(slice_of_string(request->name))) {
		say("--name: expected whose key it is, of letters, digits, '.', '_', '-' and '@'");
		return 2;
	}
	for (size_t i = 0; i < request->ngroups; i++)
		if (!key_name_fits(slice_of_string(request->groups[i]))) {
			say("--group: expected a name of letters, digits, '.', '_', '-' and '@'");
			return 2;
		}
	return 0;
}

int cmd_keys(int argc, char **argv)
{
	struct request request = {.config_path = CONFIG_DEFAULT_PATH};
	int status = read_options(argc, argv, &request);
	const struct verb *verb;
	struct keys_file file;
	struct why why;

	if (status >= 0)
		return status;
	verb = optind < argc ? find_verb(argv[optind++]) : NULL;
	request.id = verb && verb->id && optind < argc ? argv[optind++] : NULL;
	if (!verb || (verb->id && !request.id) || optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	status = check_names(verb, &request);
	if (status)
		return status;
	if (keys_file_open(request.config_path, verb->changes, &file, &why))
		status = fail(&why);
	else
		status = verb->run(&file, &request);
	keys_file_close(&file);
	return status;
}
