#include "storage/recovery/faults.h"

#include <stdarg.h>
#include <stdio.h>

void fault(struct faults *faults, const char *format, ...)
{
	char text[sizeof(faults->first)];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (faults->n++ == 0)
		snprintf(faults->first, sizeof(faults->first), "%s", text);
	if (faults->found)
		faults->found(faults, text);
}
