package main

import "net/http"

// addPages adds the web page.
func (s *service) addPages(*http.ServeMux) error { return nil }
