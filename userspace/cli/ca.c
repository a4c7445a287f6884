// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ca_files.h"
#include "cli/ca_import.h"
#include "cli/command.h"
#include "cli/say.h"
#include "config/config.h"
#include "tls/certificate.h"
#include "tls/pem.h"

#define PERMITTED_MAX 64
#define DAYS_DEFAULT  3650

static const char usage[] =
	"usage: sallyport ca init   [--name NAME] [--days N] [--permit-name DOMAIN]... [FILES]\n"
	"       sallyport ca import --cert FILE [--key FILE] [--chain FILE] [--password-file FILE]\n"
	"                           [FILES]\n"
	"       sallyport ca renew  [--days N] [--cert FILE --key FILE] [--config FILE]\n"
	"       sallyport ca export [--der] [--fingerprint] [--cert FILE] [--config FILE]\n"
	"       sallyport ca lint   [--cert FILE [--key FILE]] [--config FILE]\n"
	"\n"
	"init makes the authority that clients of this appliance are told to trust; its key is\n"
	"written with mode 0600 and never shown. import takes one of the enterprise instead, "
	"which\n"
	"may be an intermediate with its chain, in PEM, DER (.cer), PKCS#12 (.pfx, .p12) or PKCS#7\n"
	"(.p7b); for a key that is encrypted the password is asked. renew writes a fresh certificate for the same key "
	"and\n"
	"name in place of the old one; clients that trust the old one go on. export writes the "
	"certificate to install on "
	"clients\n"
	"to standard output, and its fingerprint to standard error. lint tells all reasons for "
	"which\n"
	"strict clients (Python 3.13 and newer, Go, Chromium) would refuse the authority.\n"
	"\n"
	"FILES says where the authority is kept, by default where the configuration says:\n"
	"      --out-cert FILE --out-key FILE\n"
	"      --config FILE   default " CONFIG_DEFAULT_PATH "\n"
	"      --force         replace the files that are there\n"
	"\n"
	"      --name NAME           the authority's common name\n"
	"      --days N              how long it is valid, 1 to 7300; default 3650\n"
	"      --permit-name DOMAIN  it may sign for this domain and all below it only (a "
	"critical\n"
	"                            nameConstraints); may be given more than once\n"
	"      --password-file FILE  its first line is the password of the file that is imported\n"
	"      --der                 DER instead of PEM\n"
	"      --fingerprint         only the SHA-256 fingerprint, to standard output\n";

struct arguments {
	const char *config, *name, *certificate, *key, *chain, *password, *out_certificate,
		*out_key;
	const char *permitted[PERMITTED_MAX];
	size_t npermitted;
	unsigned days;
	bool der, fingerprint, force;
};

static int fail(const char *text)
{
	say("%s", text);
	return 1;
}

/* The paths of the configuration, where the arguments do not give them. */
static int find_files(const char *config_path, const char *certificate, const char *key,
	struct ca_files *files, struct why *why)
{
	struct config *config = NULL;
	struct why inner;
	int error = 0;

	if (!certificate || !key) {
		error = config_load(config_path, &config, &inner);
		if (error)
			return why_set(why, -error,
				"%s (the authority's files can be given as arguments instead)",
				inner.text);
	}
	if (config)
		files->owner = config->processes.signer.uid;
	files->certificate = strdup(certificate ? certificate : config->tls.ca_certificate);
	files->key = strdup(key ? key : config->tls.ca_key);
	config_free(config);
	if (files->certificate && files->key)
		return 0;
	ca_files_free(files);
	return why_set(why, ENOMEM, "out of memory");
}

/* What clients are to trust: the highest certificate that we have. */
static X509 *anchor(const struct ca *ca)
{
	int n = sk_X509_num(ca->chain);

	return n ? sk_X509_value(ca->chain, n - 1) : ca->certificate;
}

static void print_fingerprint(FILE *out, const char *before, X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1)
		return;
	fputs(before, out);
	for (unsigned i = 0; i < len; i++)
		fprintf(out, "%s%02X", i ? ":" : "", digest[i]);
	fputc('\n', out);
}

static void print_made(const struct ca *ca, const struct ca_files *files)
{
	uint64_t until_ns = 0;
	char until[32] = "?";
	time_t seconds;
	struct tm parts;

	if (certificate_time(X509_get0_notAfter(ca->certificate), &until_ns)) {
		seconds = (time_t)(until_ns / NS_PER_S);
		strftime(until, sizeof(until), "%Y-%m-%d", gmtime_r(&seconds, &parts));
	}
	printf("%s\n  certificate  %s, valid until %s\n  key          %s\n",
		certificate_subject(ca->certificate).text, files->certificate, until, files->key);
	print_fingerprint(stdout, "  SHA-256      ", anchor(ca));
	printf("Clients need the certificate: sallyport ca export\n");
}

static void tell(void *context, enum ca_refused refused, const char *problem)
{
	(void)context;
	(void)refused;
	fprintf(stderr, "%s\n", problem);
}

/* ---- the five ---- */

static int ca_init(const struct arguments *arguments)
{
	struct ca_options options = {.days = arguments->days,
		.permitted = arguments->permitted,
		.npermitted = arguments->npermitted};
	char host[32] = "", name[64];
	struct ca_files files = {0};
	struct ca *ca = NULL;
	struct why why;
	int error;

	gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "sallyport CA %s", host);
	options.name = arguments->name ? arguments->name : name;
	error = find_files(
		arguments->config, arguments->out_certificate, arguments->out_key, &files, &why);
	if (!error)
		error = ca_make(&options, clock_realtime_ns(), &ca, &why);
	if (!error)
		error = ca_files_write(&files, ca, arguments->force, &why);
	if (!error)
		print_made(ca, &files);
	ca_free(ca);
	ca_files_free(&files);
	return error ? fail(why.text) : 0;
}

static void tell_left_out(const X509 *certificate)
{
	fprintf(stderr, "left out, as it is not above the issuing CA: %s\n",
		certificate_subject(certificate).text);
}

static int ca_import(const struct arguments *arguments)
{
	const struct ca_import_files from = {.certificate = arguments->certificate,
		.key = arguments->key,
		.chain = arguments->chain,
		.password = arguments->password};
	struct ca_files files = {0};
	struct ca *ca = NULL;
	struct why why;
	int error;

	if (!arguments->certificate) {
		fputs(usage, stderr);
		return 2;
	}
	error = ca_import_read(&from, tell_left_out, &ca, &why);
	if (!error && ca_lint(ca, clock_realtime_ns(), tell, NULL))
		error = why_set(&why, EINVAL,
			"%s: is not imported, because strict clients would refuse it",
			arguments->certificate);
	if (!error)
		error = find_files(arguments->config, arguments->out_certificate,
			arguments->out_key, &files, &why);
	if (!error)
		error = ca_files_write(&files, ca, arguments->force, &why);
	if (!error)
		print_made(ca, &files);
	ca_free(ca);
	ca_files_free(&files);
	return error ? fail(why.text) : 0;
}

/* The files that --cert and --key name, or else those of the configuration. */
static int find_own(const struct arguments *arguments, struct ca_files *files, struct why *why)
{
	return find_files(arguments->config, arguments->certificate, arguments->key, files, why);
}

static int ca_renew_files(const struct arguments *arguments)
{
	struct ca *ca = NULL, *renewed = NULL;
	struct ca_files files = {0};
	struct why why;
	int error;

	if (!arguments->certificate != !arguments->key) {
		fputs(usage, stderr);
		return 2;
	}
	error = find_own(arguments, &files, &why);
	if (!error)
		error = ca_files_read_own(&files, &ca, &why);
	if (!error)
		error = ca_renew(ca, arguments->days, clock_realtime_ns(), &renewed, &why);
	if (!error && ca_lint(renewed, clock_realtime_ns(), tell, NULL))
		error = why_set(&why, EINVAL,
			"%s: is not replaced, because strict clients would refuse the new one too",
			files.certificate);
	if (!error)
		error = ca_files_write_certificate(&files, renewed, &why);
	if (!error) {
		print_made(renewed, &files);
		printf("Leaves of the old certificate stay good. The appliance takes the new one "
		       "with\nsystemctl reload sallyportd\n");
	}
	ca_free(ca);
	ca_free(renewed);
	ca_files_free(&files);
	return error ? fail(why.text) : 0;
}

static int export_certificate(X509 *certificate, bool der)
{
	struct buf pem = BUF_EMPTY;
	unsigned char *bytes = NULL;
	int len, error = 0;

	if (der) {
		len = i2d_X509(certificate, &bytes);
		if (len <= 0 || fwrite(bytes, 1, (size_t)len, stdout) != (size_t)len)
			error = -EIO;
		OPENSSL_free(bytes);
	} else if (pem_write_certificate(certificate, &pem) ||
		   fwrite(buf_slice(&pem).data, 1, buf_len(&pem), stdout) != buf_len(&pem)) {
		error = -EIO;
	}
	buf_free(&pem);
	return fflush(stdout) ? -EIO : error;
}

static int ca_export(const struct arguments *arguments)
{
	struct ca_files files = {0};
	struct ca *ca = NULL;
	struct why why;
	/* The key is none of export's business: any path stands for it. */
	int error = find_files(
		arguments->config, arguments->certificate, arguments->certificate, &files, &why);

	if (!error)
		error = ca_files_read(files.certificate, NULL, &ca, &why);
	if (!error && arguments->fingerprint) {
		print_fingerprint(stdout, "", anchor(ca));
	} else if (!error) {
		error = export_certificate(anchor(ca), arguments->der);
		if (error)
			why_set(&why, -error, "the certificate cannot be written");
		else
			print_fingerprint(stderr, "SHA-256 ", anchor(ca));
	}
	ca_free(ca);
	ca_files_free(&files);
	return error ? fail(why.text) : 0;
}

static int ca_lint_files(const struct arguments *arguments)
{
	struct ca_files files = {0};
	struct ca *ca = NULL;
	bool own = !arguments->certificate;
	struct why why;
	int error = 0;

	if (own)
		error = find_files(arguments->config, NULL, arguments->key, &files, &why);
	else
		files.certificate = strdup(arguments->certificate);
	if (!own && arguments->key)
		files.key = strdup(arguments->key);
	if (!error && !files.certificate)
		error = why_set(&why, ENOMEM, "out of memory");
	if (!error)
		error = own ? ca_files_read_own(&files, &ca, &why)
			    : ca_files_read(files.certificate, files.key, &ca, &why);
	if (!error && ca_lint(ca, clock_realtime_ns(), tell, NULL))
		error = why_set(
			&why, EINVAL, "%s: strict clients would refuse it", files.certificate);
	if (!error)
		printf("%s: good\n", files.certificate);
	ca_free(ca);
	ca_files_free(&files);
	return error ? fail(why.text) : 0;
}

/* ---- arguments ---- */

static bool read_days(const char *text, unsigned *days)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || number > 100000)
		return false;
	*days = (unsigned)number;
	return true;
}

static bool take_argument(int option, struct arguments *arguments)
{
	switch (option) {
	case 'c':
		arguments->config = optarg;
		return true;
	case 'n':
		arguments->name = optarg;
		return true;
	case 'd':
		return read_days(optarg, &arguments->days);
	case 'p':
		if (arguments->npermitted == PERMITTED_MAX)
			return false;
		arguments->permitted[arguments->npermitted++] = optarg;
		return true;
	case 'C':
		arguments->certificate = optarg;
		return true;
	case 'K':
		arguments->key = optarg;
		return true;
	case 'H':
		arguments->chain = optarg;
		return true;
	case 'w':
		arguments->password = optarg;
		return true;
	case 'o':
		arguments->out_certificate = optarg;
		return true;
	case 'k':
		arguments->out_key = optarg;
		return true;
	case 'D':
		return arguments->der = true;
	case 'F':
		return arguments->fingerprint = true;
	case 'f':
		return arguments->force = true;
	default:
		return false;
	}
}

static const struct action {
	const char *name;
	int (*run)(const struct arguments *arguments);
	const char *takes; /* the options of it, by their letters */
} actions[] = {
	{"init", ca_init, "cndpokf"},
	{"import", ca_import, "cCKHwokf"},
	{"renew", ca_renew_files, "cdCK"},
	{"export", ca_export, "cCDF"},
	{"lint", ca_lint_files, "cCK"},
};

int cmd_ca(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'n'}, {"days", required_argument, NULL, 'd'},
		{"permit-name", required_argument, NULL, 'p'},
		{"cert", required_argument, NULL, 'C'}, {"key", required_argument, NULL, 'K'},
		{"chain", required_argument, NULL, 'H'},
		{"password-file", required_argument, NULL, 'w'}, {"out-cert", required_argument, NULL, 'o'},
		{"out-key", required_argument, NULL, 'k'}, {"der", no_argument, NULL, 'D'},
		{"fingerprint", no_argument, NULL, 'F'}, {"force", no_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct arguments arguments = {.config = CONFIG_DEFAULT_PATH, .days = DAYS_DEFAULT};
	const struct action *action = NULL;
	const char *name = argc > 1 ? argv[1] : "";
	int option;

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		fputs(usage, stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (!strcmp(actions[i].name, name))
			action = &actions[i];
	while (action && (option = getopt_long(argc - 1, argv + 1, "c:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (option == '?' || !strchr(action->takes, option) ||
			!take_argument(option, &arguments))
			action = NULL;
	}
	if (!action || optind < argc - 1) {
		fputs(usage, stderr);
		return 2;
	}
	return action->run(&arguments);
}
