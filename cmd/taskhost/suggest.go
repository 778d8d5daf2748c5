package main

import "github.com/taskhost/taskhost/internal/suggest"

// didYouMean names the candidate that is most like name, when one is.
func didYouMean(name string, candidates []string) string { return suggest.DidYouMean(name, candidates) }

// closeTo tells whether one name may be the other with a slip of the finger.
func closeTo(a, b string) bool { return suggest.Close(a, b) }
