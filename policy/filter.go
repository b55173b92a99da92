// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
)

const (
	// maxPattern is the length of a pattern, in bytes.
	maxPattern = 1024
	// maxExtract is the length of a template, in bytes.
	maxExtract = 256
	// maxExcludes is the number of patterns in exclude.
	maxExcludes = 64
	// maxProgram is the number of instructions of all patterns of a rule. A
	// pattern that people write has tens of them; "(.{100}){10}" has thousands.
	maxProgram = 2000
	// maxValue is the length of an extracted value, in bytes, which a template
	// that repeats a group could blow up.
	maxValue = 256
)

// filter is the compiled form of Filter.
type filter struct {
	pattern *regexp.Regexp
	extract string
	miss    string // the reason of a tag that the pattern does not match
}

func compileFilter(f *Filter, budget *int) (*filter, error) {
	const field = "spec.select.filter"
	pattern, err := compilePattern(field+".pattern", f.Pattern, budget)
	if err != nil {
		return nil, err
	}
	if len(f.Extract) > maxExtract {
		return nil, &SpecError{field + ".extract", fmt.Sprintf("the template has %d bytes: shorten it to %d", len(f.Extract), maxExtract)}
	}
	if reason := templateProblem(f.Extract, pattern); reason != "" {
		return nil, &SpecError{field + ".extract", reason}
	}
	return &filter{
		pattern: pattern,
		extract: f.Extract,
		miss:    "the filter " + quote(f.Pattern) + " does not match",
	}, nil
}

// value is what the rule reads of a tag, or the reason why it reads nothing.
func (f *filter) value(tag string) (value, reason string) {
	if f.extract == "" {
		if !f.pattern.MatchString(tag) {
			return "", f.miss
		}
		return tag, ""
	}
	groups := f.pattern.FindStringSubmatchIndex(tag)
	if groups == nil {
		return "", f.miss
	}
	expanded := f.pattern.ExpandString(nil, f.extract, tag, groups)
	if len(expanded) == 0 {
		return "", "the filter extracts nothing"
	}
	if len(expanded) > maxValue {
		return "", fmt.Sprintf("the filter extracts more than %d bytes", maxValue)
	}
	return string(expanded), ""
}

// exclude is one compiled pattern of Spec.Exclude.
type exclude struct {
	pattern *regexp.Regexp
	hit     string // the reason of a tag that the pattern matches
}

func compileExcludes(patterns []string, budget *int) ([]exclude, error) {
	const field = "spec.select.exclude"
	if len(patterns) > maxExcludes {
		return nil, &SpecError{field, fmt.Sprintf("%d patterns are too many: join them with | to at most %d", len(patterns), maxExcludes)}
	}
	var excludes []exclude
	for i, text := range patterns {
		pattern, err := compilePattern(fmt.Sprintf("%s[%d]", field, i), text, budget)
		if err != nil {
			return nil, err
		}
		excludes = append(excludes, exclude{pattern: pattern, hit: "excluded by " + quote(text)})
	}
	return excludes, nil
}

// compilePattern compiles an RE2 pattern and takes its size off the budget.
func compilePattern(field, text string, budget *int) (*regexp.Regexp, error) {
	if text == "" {
		return nil, &SpecError{field, "the pattern is empty: write one, or remove the field"}
	}
	if len(text) > maxPattern {
		return nil, &SpecError{field, fmt.Sprintf("the pattern has %d bytes: shorten it to %d", len(text), maxPattern)}
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, &SpecError{field, patternProblem(err)}
	}
	// The same steps as regexp.Compile, which does not tell the size.
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, &SpecError{field, patternProblem(err)}
	}
	if *budget -= len(program.Inst); *budget < 0 {
		return nil, &SpecError{field, "with this pattern the rule's patterns are too large when compiled: use smaller {n,m} repetitions"}
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		return nil, &SpecError{field, patternProblem(err)}
	}
	return pattern, nil
}

func patternProblem(err error) string {
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Sprintf("the pattern is not RE2 (%s at %.60q): correct it; RE2 has no look-around and no back-references", bad.Code, bad.Expr)
	}
	return fmt.Sprintf("the pattern is not RE2 (%.100v): correct it", err)
}

// templateProblem says what a template refers to that its pattern has not. The
// regexp package would put nothing in its place without a word.
func templateProblem(template string, pattern *regexp.Regexp) string {
	for rest := template; ; {
		_, after, found := strings.Cut(rest, "$")
		if !found {
			return ""
		}
		if strings.HasPrefix(after, "$") {
			rest = after[1:]
			continue
		}
		name := groupName(after)
		if name == "" {
			return "a $ names no group: write $name, ${name} or $1, and $$ for a dollar sign"
		}
		if !hasGroup(pattern, name) {
			return fmt.Sprintf("$%s names no group of the pattern: add (?P<%s>…) to the pattern, or write ${group} where text follows the name", name, name)
		}
		rest = after[len(name):]
	}
}

// groupName reads the name after a $, in braces or not, as the regexp package
// does: all letters, digits and underscores that follow.
func groupName(after string) string {
	inner, braced := strings.CutPrefix(after, "{")
	rest := strings.TrimLeftFunc(inner, func(r rune) bool {
		return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
	})
	if braced && !strings.HasPrefix(rest, "}") {
		return ""
	}
	return strings.TrimSuffix(inner, rest)
}

// hasGroup takes digits for a group's number, as the regexp package does, but
// not with leading zeros.
func hasGroup(pattern *regexp.Regexp, name string) bool {
	if number, err := strconv.Atoi(name); err == nil && strconv.Itoa(number) == name {
		return number <= pattern.NumSubexp()
	}
	return pattern.SubexpIndex(name) >= 0
}

// quote shows foreign text in a message: on one line, and not all of a long one.
func quote(text string) string {
	const shown = 120
	if runes := []rune(text); len(runes) > shown {
		return strconv.Quote(string(runes[:shown])) + "…"
	}
	return strconv.Quote(text)
}
