#include "query/session/shebang.h"

#include <string.h>

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool shebang_line(struct slice text, struct slice *line, uint32_t *body_at)
{
	const uint8_t *end = memchr(text.ptr, '\n', text.len);
	if (!end)
		return false;
	*line = slice_of(text.ptr, (size_t)(end - text.ptr));
	*body_at = (uint32_t)line->len;
	return true;
}

/* What a backslash and what follows it stand for in double quotes; how many bytes of `in` that is. */
static size_t unescape(struct slice in, uint8_t *out)
{
	static const char letters[] = "nrtba", bytes[] = "\n\r\t\b\a";
	if (in.len > 3 && in.ptr[1] == 'x' && hex_digit(in.ptr[2]) >= 0 && hex_digit(in.ptr[3]) >= 0) {
		*out = (uint8_t)(hex_digit(in.ptr[2]) << 4 | hex_digit(in.ptr[3]));
		return 4;
	}
	const char *letter = in.ptr[1] ? strchr(letters, in.ptr[1]) : NULL;
	*out = letter ? (uint8_t)bytes[letter - letters] : in.ptr[1];
	return 2;
}

/* From behind the opening quote to behind the closing one; false: there is none, or no space follows it. */
static bool take_quoted(struct slice *line, uint8_t quote, struct buf *out)
{
	while (line->len > 0 && line->ptr[0] != quote) {
		uint8_t byte = line->ptr[0];
		size_t n = 1;
		bool escapes = byte == '\\' && line->len > 1 && (quote == '"' || line->ptr[1] == '\'');
		if (escapes)
			n = unescape(*line, &byte);
		buf_byte(out, byte);
		*line = slice_sub(*line, n, line->len);
	}
	if (line->len == 0)
		return false;
	*line = slice_sub(*line, 1, line->len);
	return line->len == 0 || is_space(line->ptr[0]);
}

enum shebang shebang_word(struct slice *line, struct buf *out)
{
	out->len = 0;
	while (line->len > 0 && is_space(line->ptr[0]))
		*line = slice_sub(*line, 1, line->len);
	if (line->len == 0)
		return SHEBANG_END;
	while (line->len > 0 && !is_space(line->ptr[0])) {
		uint8_t byte = line->ptr[0];
		*line = slice_sub(*line, 1, line->len);
		if (byte != '"' && byte != '\'')
			buf_byte(out, byte);
		else if (!take_quoted(line, byte, out))
			return SHEBANG_MALFORMED;
	}
	return SHEBANG_WORD;
}
