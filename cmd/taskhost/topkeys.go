package main

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/taskhost/taskhost/manager"
)

// topDone is the message that an action has ended.
type topDone struct {
	text string
	err  error
}

// Update takes in what happens.
func (m *top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case topLooked:
		return m, m.looked(msg)
	case topTick:
		if !m.looking {
			return m, m.look()
		}
	case topDone:
		m.told = msg.text
		if msg.err != nil {
			m.said, m.bad, m.told = errorLine(msg.err), true, ""
		}
		return m, m.look()
	case tea.PasteMsg:
		if m.mode == modeFilter {
			m.typing = cut(m.typing+oneLine(msg.Content), 200)
		}
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// key does what a key means.
func (m *top) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name == "ctrl+c" {
		return tea.Quit
	}
	switch m.mode {
	case modeHelp:
		m.mode = modeLook
		return nil
	case modeConfirm:
		m.mode = modeLook
		if name == "y" || name == "Y" {
			return m.act(m.confirm)
		}
		m.said, m.bad = "nothing was done", false
		return nil
	case modeFilter:
		return m.keyFilter(k, name)
	case modeLook:
	}
	return m.keyLook(name)
}

func (m *top) keyLook(name string) tea.Cmd {
	m.said, m.bad = "", false
	switch name {
	case "q", "esc":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "?", "h":
		m.mode = modeHelp
	case "/":
		m.mode, m.typing = modeFilter, m.typed
	case "tab", "right":
		m.focus = (m.focus + 1) % panels
	case "shift+tab", "left":
		m.focus = (m.focus + panels - 1) % panels
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-10)
	case "pgdown":
		m.move(10)
	case "home", "g":
		m.move(-topRows)
	case "end", "G":
		m.move(topRows)
	case "c":
		m.askCancel()
	case "r":
		return m.retry()
	case "p":
		m.askPause()
	}
	return nil
}

func (m *top) keyFilter(k tea.KeyPressMsg, name string) tea.Cmd {
	switch name {
	case "esc":
		m.mode = modeLook
	case "enter":
		m.mode, m.typed = modeLook, m.typing
		return m.look()
	case "backspace":
		if runes := []rune(m.typing); len(runes) > 0 {
			m.typing = string(runes[:len(runes)-1])
		}
	case "ctrl+u":
		m.typing = ""
	default:
		if k.Text != "" {
			m.typing = cut(m.typing+k.Text, 200)
		}
	}
	return nil
}

// act does something to the server, beside what goes on.
func (m *top) act(x topAction) tea.Cmd {
	parent := m.ctx
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(parent, topPatience)
		defer cancel()
		return topDone{x.done, x.do(ctx)}
	}
}

// ask puts a question before an action.
func (m *top) ask(x topAction) { m.mode, m.confirm = modeConfirm, x }

func (m *top) complain(text string) { m.said, m.bad = text, true }

func (m *top) askCancel() {
	t := m.task(panelRunning)
	if m.focus != panelRunning || t == nil {
		m.complain("choose a running task to cancel")
		return
	}
	id := t.ID
	m.ask(topAction{
		ask: "cancel " + taskLabel(*t) + " " + shortID(id) + "?", done: shortID(id) + " is cancelled",
		do: func(ctx context.Context) error { _, err := m.server.Cancel(ctx, id); return err },
	})
}

func (m *top) retry() tea.Cmd {
	t := m.task(panelFailures)
	if m.focus != panelFailures || t == nil {
		m.complain("choose a failed task to retry")
		return nil
	}
	id := t.ID
	return m.act(topAction{
		done: shortID(id) + " is back in the queue",
		do:   func(ctx context.Context) error { _, err := m.server.Retry(ctx, id, false); return err },
	})
}

// askPause pauses a queue or disables a plugin, or lets it go on, which needs no question.
func (m *top) askPause() {
	rows := m.rows(m.focus)
	i := m.at(m.focus)
	if i >= len(rows) || (m.focus != panelQueues && m.focus != panelPlugins) {
		m.complain("choose a queue or a plugin to pause")
		return
	}
	name, paused := rows[i].name, rows[i].paused
	x := topAction{ask: "let no task of " + name + " begin?", done: name + " is paused"}
	if paused {
		x = topAction{ask: "let the tasks of " + name + " begin again?", done: name + " goes on"}
	}
	switch plugin := rows[i].plugin; {
	case plugin != "" && paused:
		x.do = func(ctx context.Context) error { _, err := m.server.Enable(ctx, plugin); return err }
	case plugin != "":
		x.do = func(ctx context.Context) error { _, err := m.server.Disable(ctx, plugin); return err }
	default:
		x.do = func(ctx context.Context) error { return m.server.Pause(ctx, rows[i].key, !paused) }
	}
	m.ask(x)
}

// move changes the row that is chosen.
func (m *top) move(by int) {
	rows := m.rows(m.focus)
	if len(rows) == 0 {
		return
	}
	i := min(max(0, m.at(m.focus)+by), len(rows)-1)
	m.index[m.focus], m.chosen[m.focus] = i, rows[i].key
}

// at is where the chosen row is.
func (m *top) at(p topPanel) int { return m.index[p] }

// settle finds the chosen rows again in new data. What is gone leaves the choice where it was.
func (m *top) settle() {
	for p := range panels {
		rows := m.rows(p)
		i := min(m.index[p], max(0, len(rows)-1))
		for j := range rows {
			if rows[j].key == m.chosen[p] {
				i = j
				break
			}
		}
		m.index[p], m.chosen[p] = i, ""
		if i < len(rows) {
			m.chosen[p] = rows[i].key
		}
	}
}

// task is the chosen task of a part.
func (m *top) task(p topPanel) *manager.Task {
	rows := m.rows(p)
	if i := m.at(p); i < len(rows) {
		return rows[i].task
	}
	return nil
}

// since is a time that has passed, for a table.
func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return ageText(time.Since(t))
}
