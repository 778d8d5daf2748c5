// Package taskhost is the root of a plugin-based WebAssembly task host; it holds no code of its own.
//
// Package host loads plugins from a folder and calls them, each call in a sandbox of its own. Package manager queues, runs, retries and
// cancels tasks on it, or on plain Go functions. Package monitor turns the events of both into metrics and logs. Package abi is what they
// and the plugins share. Command taskhost, under cmd, ties them together; package sdk/go is for authors of plugins.
package taskhost
