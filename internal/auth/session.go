package auth

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of sessions.
const (
	maxSessions      = 2000
	maxTokenSessions = 100            // of one token; its oldest ends when another begins
	sessionLife      = 12 * time.Hour // from the login
	sessionIdle      = 4 * time.Hour  // without a request
)

// sessions are those of browsers that logged in. They live in memory: a restart ends them. Safe for concurrent use.
type sessions struct {
	mu    sync.Mutex
	byKey map[[sha256.Size]byte]*list.Element // of *session; the key is the hash of the cookie, so its lookup tells nothing by its time
	order list.List                           // the oldest first
	count map[string]int                      // by id of the token
}

type session struct {
	key         [sha256.Size]byte
	token       *entry
	began, used time.Time
}

func newSessions() *sessions {
	return &sessions{byKey: map[[sha256.Size]byte]*list.Element{}, count: map[string]int{}}
}

// begin begins a session and returns the value of its cookie.
func (s *sessions) begin(token *entry, now time.Time) string {
	cookie := randomWord(secretBytes)
	one := &session{key: sha256.Sum256([]byte(cookie)), token: token, began: now, used: now}
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.order.Front(); e != nil && (s.order.Len() >= maxSessions || e.Value.(*session).over(now)); e = s.order.Front() {
		s.drop(e)
	}
	for e := s.order.Front(); s.count[token.ID] >= maxTokenSessions; {
		next := e.Next()
		if e.Value.(*session).token.ID == token.ID {
			s.drop(e)
		}
		e = next
	}
	s.byKey[one.key] = s.order.PushBack(one)
	s.count[token.ID]++
	return cookie
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.began) >= sessionLife || now.Sub(s.used) >= sessionIdle
}

// drop ends a session; s is locked.
func (s *sessions) drop(e *list.Element) {
	one := e.Value.(*session)
	delete(s.byKey, one.key)
	s.order.Remove(e)
	if s.count[one.token.ID]--; s.count[one.token.ID] == 0 {
		delete(s.count, one.token.ID)
	}
}

// find returns the token of a session that goes on, as valid sees it.
func (s *sessions) find(cookie string, now time.Time, valid func(*entry) bool) (*entry, bool) {
	key := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[key]
	if e == nil {
		return nil, false
	}
	one := e.Value.(*session)
	if one.over(now) || !valid(one.token) {
		s.drop(e)
		return nil, false
	}
	one.used = now
	return one.token, true
}

// on reports whether a session goes on. It does not count as use.
func (s *sessions) on(cookie string, now time.Time) bool {
	key := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[key]
	return e != nil && !e.Value.(*session).over(now)
}

// end ends a session.
func (s *sessions) end(cookie string) (*entry, bool) {
	key := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[key]
	if e == nil {
		return nil, false
	}
	s.drop(e)
	return e.Value.(*session).token, true
}
