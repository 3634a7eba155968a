#include "engine/base/buf.h"
#include "engine/memory/memory.h"
#include "storage/check/check_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

void say(struct check_out *out, const char *format, ...)
{
	cleanup(buf_fini) struct buf line = {0};
	va_list args;
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_byte(&line, '\n');
	out->write(out, buf_slice(&line));
}

static void say_fault(struct faults *faults, const char *text)
{
	struct subject *subject = container_of(faults, struct subject, faults);
	say(subject->out, "FAULT: %s", text);
}

void subject_init(struct subject *subject, struct core *core, const char *directory, struct check_out *out)
{
	*subject = (struct subject){.faults.found = say_fault, .core = core, .directory = directory, .out = out};
	subject->manifest = memory_zalloc(sizeof(*subject->manifest));
}

static bool open_superblock(struct subject *subject)
{
	char why[512] = "";
	int result = superblock_load(subject->core, subject->directory, &subject->superblock, why, sizeof(why));
	if (result == -ENOENT)
		fault(&subject->faults, "%s: there is no data directory", subject->directory);
	else if (result < 0)
		fault(&subject->faults, "%s", why);
	return result == 0;
}

/* A directory to which no server came yet has none. */
static bool open_manifest(struct subject *subject)
{
	char why[512] = "";
	int result = manifest_load(subject->core, subject->directory, &subject->superblock, subject->manifest, why,
	                           sizeof(why));
	if (result < 0 && result != -ENOENT)
		fault(&subject->faults, "%s", why);
	return result == 0;
}

bool subject_open(struct subject *subject)
{
	if (!open_superblock(subject))
		return false;
	bool has_manifest = open_manifest(subject);
	if (!has_manifest && subject->faults.n > 0)
		return false;
	bool sound = survey_take(subject->core, subject->directory, &subject->superblock, subject->manifest,
	                         &subject->survey, &subject->faults);
	if (sound && !has_manifest && subject->survey.n_files > 0)
		fault(&subject->faults, "%s: there are logs, but no manifest that says which of them count",
		      subject->directory);
	return has_manifest;
}

void subject_fini(struct subject *subject)
{
	buf_fini(&subject->cold_record);
	survey_fini(&subject->survey);
	memory_free(subject->manifest);
}
