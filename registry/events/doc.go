// SPDX-License-Identifier: Apache-2.0

// Package events receives what registries tell when an image was pushed, and
// turns it into hints.
//
// A [Hint] only asks for a look at the registry. It decides nothing: what it
// says of a tag or digest is for messages, and the URLs in an event are never
// called. So a lost event costs the time until the next scheduled look, and a
// forged or replayed one costs a look.
//
// A [Receiver] is a http.Handler of one or more endpoints. Each has its own path,
// its source, its secret, and the one registry host that it may give hints for.
// Sources that sign nothing have a path that cannot be guessed instead. Requests
// are hostile input: they are bounded in size, depth, number, rate and time, and
// secrets are compared in constant time. Answers tell nothing but what the sender
// did wrong.
//
// The receiver answers as soon as its hints are handed on, so whoever takes them
// may not wait. An [Inbox] does not: it keeps one hint per image until somebody
// takes them.
package events
