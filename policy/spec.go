// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Spec is a rule as a user writes it. Exactly one of Semver, Tag, Numerical,
// Alphabetical and Newest is set.
type Spec struct {
	// Semver picks the highest version inside a range.
	Semver *Semver
	// Tag follows one tag, such as "stable", to whatever image it names.
	Tag string
	// Numerical picks by the number that a tag is.
	Numerical *Ordered
	// Alphabetical picks by the bytes of a tag.
	Alphabetical *Ordered
	// Newest picks the image that was created last.
	Newest bool
	// Filter restricts the candidates and says what of a tag the rule reads;
	// nil: every tag, as a whole.
	Filter *Filter
	// Exclude are RE2 patterns; a tag that one of them matches is dropped.
	Exclude []string
}

// Semver is a range of versions.
type Semver struct {
	// Range in the syntax of github.com/Masterminds/semver/v3, as in
	// ">=6.0.0 <7" or "~1.2 || ^2".
	Range string
}

// Ordered says which end of an order is picked.
type Ordered struct {
	Order Order
}

// Order is a direction, with the meaning that it has in Flux.
type Order string

const (
	// Asc picks the greatest value. It is the default.
	Asc Order = "Asc"
	// Desc picks the smallest value.
	Desc Order = "Desc"
)

// Filter restricts the candidates.
type Filter struct {
	// Pattern is an RE2 pattern that a tag must match.
	Pattern string
	// Extract is a template ($name, ${name}, $1) of what the rule reads of the
	// tag; empty: the whole tag.
	Extract string
}

// SpecError says which field of a spec cannot be used, and what to do about it.
type SpecError struct {
	// Field is the path from the root of the ImagePolicy, as in
	// "spec.select.semver.range".
	Field string
	// Reason is one line for people.
	Reason string
}

func (e *SpecError) Error() string { return e.Field + ": " + e.Reason }

// Compile checks a spec and prepares it for ranking. Its error is a *SpecError.
func Compile(spec Spec) (*Rule, error) {
	if err := oneRule(spec); err != nil {
		return nil, err
	}
	rule, err := compileOrder(spec)
	if err != nil {
		return nil, err
	}
	budget := maxProgram
	if spec.Filter != nil {
		if rule.filter, err = compileFilter(spec.Filter, &budget); err != nil {
			return nil, err
		}
	}
	if rule.excludes, err = compileExcludes(spec.Exclude, &budget); err != nil {
		return nil, err
	}
	if err := followable(rule); err != nil {
		return nil, err
	}
	rule.text = describe(rule.text, spec)
	return rule, nil
}

// oneRule refuses a spec with no rule or with several.
func oneRule(spec Spec) error {
	var set []string
	if spec.Semver != nil {
		set = append(set, "semver")
	}
	if spec.Tag != "" {
		set = append(set, "tag")
	}
	if spec.Numerical != nil {
		set = append(set, "numerical")
	}
	if spec.Alphabetical != nil {
		set = append(set, "alphabetical")
	}
	if spec.Newest {
		set = append(set, "newest")
	}
	switch len(set) {
	case 1:
		return nil
	case 0:
		return &SpecError{"spec.select", "no rule is set: set one of semver, tag, numerical, alphabetical and newest"}
	default:
		return &SpecError{"spec.select", "several rules are set (" + strings.Join(set, ", ") + "): keep one of them"}
	}
}

// compileOrder makes a rule without filter and excludes.
func compileOrder(spec Spec) (*Rule, error) {
	switch {
	case spec.Semver != nil:
		versions, err := compileRange(spec.Semver.Range)
		if err != nil {
			return nil, err
		}
		return &Rule{order: versions, text: "semver " + versions.text}, nil
	case spec.Tag != "":
		if reason := nameProblem(spec.Tag); reason != "" {
			return nil, &SpecError{"spec.select.tag", fmt.Sprintf("%.140q %s: name a tag of the image", spec.Tag, reason)}
		}
		return &Rule{order: texts{}, follows: spec.Tag, text: "tag " + spec.Tag}, nil
	case spec.Numerical != nil:
		order, err := checkOrder("spec.select.numerical.order", spec.Numerical.Order)
		return &Rule{order: numbers{desc: order == Desc}, text: "numerical " + string(order)}, err
	case spec.Alphabetical != nil:
		order, err := checkOrder("spec.select.alphabetical.order", spec.Alphabetical.Order)
		return &Rule{order: texts{desc: order == Desc}, text: "alphabetical " + string(order)}, err
	default:
		return &Rule{order: times{}, newest: true, text: "newest, by the time of linux/amd64, or else of the first platform"}, nil
	}
}

func checkOrder(field string, order Order) (Order, error) {
	switch order {
	case "", Asc:
		return Asc, nil
	case Desc:
		return Desc, nil
	default:
		return "", &SpecError{field, fmt.Sprintf("%.40q is no order: write Asc for the greatest or Desc for the smallest", order)}
	}
}

// compileRange reads a range. The library bounds its length and alternatives.
func compileRange(text string) (*versions, error) {
	const field = "spec.select.semver.range"
	// The library allows any white space between comparisons; one blank keeps
	// messages on one line.
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return nil, &SpecError{field, `the range is empty: write one such as ">=1.2.0 <2", or "*" for every release`}
	}
	constraints, err := semver.NewConstraint(text)
	if err != nil {
		return nil, &SpecError{field, fmt.Sprintf("%.100q is no range of versions (%.200v): write one such as \">=1.2.0 <2\" or \"~1.4\"", text, err)}
	}
	return newVersions(text, *constraints), nil
}

// followable refuses a followed tag that filter or exclude keep out: such a
// policy could never select anything.
func followable(rule *Rule) error {
	if rule.follows == "" {
		return nil
	}
	if reason := rule.excluded(rule.follows); reason != "" {
		return &SpecError{"spec.select.exclude", fmt.Sprintf("the followed tag %s is %s: remove the pattern, or follow another tag", rule.follows, reason)}
	}
	if _, reason := rule.value(rule.follows); reason != "" {
		return &SpecError{"spec.select.filter", fmt.Sprintf("the followed tag %s is kept out (%s): remove the filter, or follow another tag", rule.follows, reason)}
	}
	return nil
}

func describe(rule string, spec Spec) string {
	var b strings.Builder
	b.WriteString(rule)
	if spec.Filter != nil {
		b.WriteString(", filter " + quote(spec.Filter.Pattern))
		if spec.Filter.Extract != "" {
			b.WriteString(" extract " + quote(spec.Filter.Extract))
		}
	}
	for i, pattern := range spec.Exclude {
		word := ","
		if i == 0 {
			word = ", exclude"
		}
		b.WriteString(word + " " + quote(pattern))
	}
	return b.String()
}
