package main

import "strings"

// languages are those that stopWords knows.
var languages = []string{"en", "de", "es", "fr", "pt"}

// stopWords are the words of a language that say little about what a text is about; nil for another language.
func stopWords(language string) map[string]bool {
	if list, ok := stopLists[language]; ok {
		return wordSet(list)
	}
	return nil
}

var stopLists = map[string]string{
	"en": `a about above after again against all also although always am among an and another any are as at be because been
		before being below between both but by came can cannot come could did do does doing down during each either else ever every few
		for from further get go had has have having he her here hers herself him himself his how however i if in into is it its itself
		just last less let like made make many may me might more most much must my myself near never next no nor not now of off often on
		once one only or other our ours ourselves out over own per rather said same say see seem seemed shall she should since so some
		still such than that the their theirs them themselves then there these they this those though through thus till to too under
		until up upon us use used very was we well were what when where whether which while who whom whose why will with within without
		would yet you your yours yourself`,
	"de": `aber als also am an auch auf aus bei bin bis bist da damit dann das dass daß dem den denn der des die dies diese
		diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es etwas für gegen gibt haben hat hatte hier
		ich ihm ihn ihr ihre im in ist ja jede jedem jeden jeder kann kein keine können man mehr mit muss nach nicht nichts noch nun nur
		ob oder ohne schon sehr sein seine seiner sich sie sind so sondern soll über um und uns unter vom von vor war waren was weil
		wenn werden wie wieder wir wird wurde wurden zu zum zur zwischen`,
	"es": `a al algo ante antes aquel aquella así aún aunque cada como con contra cual cuando de del desde donde dos el él ella
		ellos en entre era eran es esa ese eso esta está están este esto estos fue fueron ha había han hasta hay la las le les lo los más
		me mi mientras muy ni no nos o otra otro para pero poco por porque pues que qué quien se sea según ser si sí sin sino sobre son su
		sus también tan tanto te tiene todo todos tras tu un una uno unos y ya yo`,
	"fr": `à ai ainsi alors après au aussi autre aux avait avant avec avoir car ce cela ces cet cette ceux chaque comme dans de
		depuis des deux donc dont du elle elles en encore entre est et été être eu il ils je jusque l la le les leur leurs lui mais même
		mes moi moins mon ne ni non nos notre nous on ont ou où par parce pas peu peut plus pour quand que quel qui sa sans se selon ses
		si son sont sous sur ta te tes toi ton tous tout toute très tu un une vers vos vous y`,
	"pt": `a ainda ao aos após as às até bem cada com como contra da das de dela dele depois desde do dos e é ela elas ele eles
		em entre era eram essa esse esta está estão este eu foi foram há isso isto já lhe mais mas me mesmo meu minha muito na não nas
		nem no nos nós num numa o os ou para pela pelas pelo pelos pode por porque qual quando que quem se seja sem ser seu seus só sob
		sobre sua suas são também te tem têm ter toda todo todos tu um uma você`,
}

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// language guesses the language of a text by its stop words; it is empty when they make up less than a tenth of it.
func language(sentences [][]string) string {
	total := 0
	for _, words := range sentences {
		total += len(words)
	}
	best, most := "", total/10
	for _, l := range languages {
		stop, hits := stopWords(l), 0
		for _, words := range sentences {
			for _, w := range words {
				if stop[w] {
					hits++
				}
			}
		}
		if hits > most {
			best, most = l, hits
		}
	}
	return best
}
