package ui

import (
	"html/template"
	"io/fs"
	"path"
	"strings"
)

// shared are the templates that pages are made of; each other file is a page.
var shared = []string{"templates/layout.html", "templates/parts.html"}

func parse(files *assets) (map[string]*template.Template, error) {
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	common, err := template.New("").Funcs(functions(files)).ParseFS(templateFiles, shared...)
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		page, err := common.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, err
		}
		pages[name] = page
	}
	return pages, nil
}
