package main

import (
	"slices"
	"strings"
	"testing"
)

// The beginning of Charles Darwin, On the Origin of Species, 1859.
const origin = `
# Introduction

When on board H.M.S. 'Beagle,' as naturalist, I was much struck with certain facts in the distribution of the inhabitants of South
America, and in the geological relations of the present to the past inhabitants of that continent. These facts seemed to me to throw
some light on the origin of species—that mystery of mysteries, as it has been called by one of our greatest philosophers. On my return
home, it occurred to me, in 1837, that something might perhaps be made out on this question by patiently accumulating and reflecting on
all sorts of facts which could possibly have any bearing on it. After five years' work I allowed myself to speculate on the subject, and
drew up some short notes; these I enlarged in 1844 into a sketch of the conclusions, which then seemed to me probable: from that period
to the present day I have steadily pursued the same object. I hope that I may be excused for entering on these personal details, as I
give them to show that I have not been hasty in coming to a decision.

My work is now nearly finished; but as it will take me two or three more years to complete it, and as my health is far from strong, I
have been urged to publish this Abstract. I have more especially been induced to do this, as Mr. Wallace, who is now studying the natural
history of the Malay archipelago, has arrived at almost exactly the same general conclusions that I have on the origin of species. Last
year he sent to me a memoir on this subject, with a request that I would forward it to Sir Charles Lyell, who sent it to the Linnean
Society, and it is published in the third volume of the Journal of that Society. Sir C. Lyell and Dr. Hooker, who both knew of my
work—the latter having read my sketch of 1844—honoured me by thinking it advisable to publish, with Mr. Wallace's excellent memoir, some
brief extracts from my manuscripts.

In considering the Origin of Species, it is quite conceivable that a naturalist, reflecting on the mutual affinities of organic beings,
on their embryological relations, their geographical distribution, geological succession, and other such facts, might come to the
conclusion that each species had not been independently created, but had descended, like varieties, from other species. Nevertheless,
such a conclusion, even if well founded, would be unsatisfactory, until it could be shown how the innumerable species inhabiting this
world have been modified, so as to acquire that perfection of structure and coadaptation which most justly excites our admiration.

As many more individuals of each species are born than can possibly survive; and as, consequently, there is a frequently recurring
struggle for existence, it follows that any being, if it vary however slightly in any manner profitable to itself, under the complex and
sometimes varying conditions of life, will have a better chance of surviving, and thus be naturally selected. From the strong principle
of inheritance, any selected variety will tend to propagate its new and modified form.
`

func TestSummaryOfARealTextIsWhatItIsAbout(t *testing.T) {
	reply, err := summarizeText(summarizeArgs{Text: origin, Sentences: 3})
	if err != nil {
		t.Fatal(err)
	}
	if reply.Language != "en" || reply.Total != 13 {
		t.Errorf("language %q, %d sentences; want en, 13", reply.Language, reply.Total)
	}
	if len(reply.Sentences) != 3 || !slices.IsSortedFunc(reply.Sentences, func(a, b picked) int { return a.Index - b.Index }) {
		t.Fatalf("picked %+v", reply.Sentences)
	}
	// What the text is about, and not the personal details around it.
	for _, want := range []string{"light on the origin of species", "each species had not been independently created"} {
		if !strings.Contains(reply.Summary, want) {
			t.Errorf("%q is not in the summary:\n%s", want, reply.Summary)
		}
	}
	for _, s := range reply.Sentences {
		if strings.Contains(s.Text, "personal details") || strings.Contains(s.Text, "my health") {
			t.Errorf("picked a detail: %s", s.Text)
		}
	}
}

func TestSummaryDoesNotSayTheSameTwice(t *testing.T) {
	text := strings.Repeat("The committee approved the railway budget for northern districts today. ", 5) +
		"Farmers near the river worry about floods damaging their harvest. " +
		"The railway budget pays for bridges across northern districts."
	reply, err := summarizeText(summarizeArgs{Text: text, Sentences: 2})
	if err != nil {
		t.Fatal(err)
	}
	if reply.Sentences[0].Text == reply.Sentences[1].Text {
		t.Errorf("twice: %s", reply.Sentences[0].Text)
	}
}

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"One. Two! Three? Four", []string{"One.", "Two!", "Three?", "Four"}},
		{"Mr. Wallace met Dr. Hooker. They talked.", []string{"Mr. Wallace met Dr. Hooker.", "They talked."}},
		{"H.M.S. Beagle sailed. J. R. R. Tolkien wrote.", []string{"H.M.S. Beagle sailed.", "J. R. R. Tolkien wrote."}},
		{"It is 3.5 metres. Then 4.", []string{"It is 3.5 metres.", "Then 4."}},
		{"Use e.g. this one. See main.go. Done.", []string{"Use e.g. this one.", "See main.go.", "Done."}},
		{`He said "Go." She went.`, []string{`He said "Go."`, "She went."}},
		{"Wait... what? Yes!!! Fine.", []string{"Wait... what?", "Yes!!!", "Fine."}},
		{"今日は晴れです。明日は雨です。", []string{"今日は晴れです。", "明日は雨です。"}},
		{"# Title\n\nA line\nthat goes on.\n\n- one item\n- another. With more\n\n```\ncode. Not prose.\n```\n| a | b |\n---\n1. first",
			[]string{"A line that goes on.", "one item", "another.", "With more", "first"}},
		{"", nil},
		{"...", []string{"..."}},
	} {
		if got := splitSentences(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestLanguageIsGuessed(t *testing.T) {
	for want, text := range map[string]string{
		"en": "This is what we have to do when they come back to the house.",
		"de": "Das ist ein Satz, den man nicht oft in einem Buch findet.",
		"es": "Esta es una frase que no se encuentra en los libros de la escuela.",
		"fr": "Ceci est une phrase que nous avons trouvée dans un livre pour les enfants.",
		"pt": "Esta é uma frase que não foi encontrada em um livro para crianças.",
		"":   "Lorem ipsum dolor sit amet consectetur adipiscing elit.",
	} {
		var words [][]string
		for _, s := range splitSentences(text) {
			words = append(words, splitWords(s))
		}
		if got := language(words); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzSummarize(f *testing.F) {
	f.Add(origin, 3)
	f.Add("...\n\xff. A.\n```", 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		reply, err := summarizeText(summarizeArgs{Text: text, Sentences: n})
		if err == nil && (len(reply.Sentences) == 0 || len(reply.Sentences) > maxPicked) && reply.Total > 0 {
			t.Errorf("%d sentences picked of %d", len(reply.Sentences), reply.Total)
		}
	})
}
