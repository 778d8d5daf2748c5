package main

import (
	"net/http"

	"github.com/taskhost/taskhost/internal/httpapi/ui"
)

// addPages adds the web page.
func (s *service) addPages(mux *http.ServeMux) error {
	pages, err := ui.New(ui.Config{API: s.api, Version: version, Tokens: s.tokens.Required, Logger: s.log.Logger})
	if err == nil {
		mux.Handle("/", pages)
	}
	return err
}
