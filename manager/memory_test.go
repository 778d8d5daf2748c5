package manager_test

import (
	"testing"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/storetest"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) manager.Store { return manager.NewMemoryStore() })
}
