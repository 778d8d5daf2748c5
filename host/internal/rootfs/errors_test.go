package rootfs_test

import (
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"

	"github.com/taskhost/taskhost/host/internal/rootfs"
)

func TestErrors(t *testing.T) {
	long := strings.Repeat("x", 300)
	layout := []string{
		"f", "content", "dir/", "", "full/", "", "full/f", "", "link", "->f", "dirlink", "->dir", "dangling", "->none", "loop", "->loop",
		"out", "->../x", "abs", "->/etc", "deep/", "", "deep/out", "->../../x", "chain", "->deep/out",
	}
	type call = func(f *rootfs.FS) sys.Errno
	opens := func(name string, flag sys.Oflag) call {
		return func(f *rootfs.FS) sys.Errno {
			file, errno := f.OpenFile(name, flag, 0o644)
			if errno == 0 {
				file.Close()
			}
			return errno
		}
	}
	stat := func(name string) call { return func(f *rootfs.FS) sys.Errno { _, errno := f.Stat(name); return errno } }
	lstat := func(name string) call {
		return func(f *rootfs.FS) sys.Errno { _, errno := f.Lstat(name); return errno }
	}
	mkdir := func(name string) call { return func(f *rootfs.FS) sys.Errno { return f.Mkdir(name, 0o755) } }
	rmdir := func(name string) call { return func(f *rootfs.FS) sys.Errno { return f.Rmdir(name) } }
	unlink := func(name string) call { return func(f *rootfs.FS) sys.Errno { return f.Unlink(name) } }
	rename := func(from, to string) call { return func(f *rootfs.FS) sys.Errno { return f.Rename(from, to) } }
	link := func(from, to string) call { return func(f *rootfs.FS) sys.Errno { return f.Link(from, to) } }
	symlink := func(to, name string) call { return func(f *rootfs.FS) sys.Errno { return f.Symlink(to, name) } }
	readlink := func(name string) call {
		return func(f *rootfs.FS) sys.Errno { _, errno := f.Readlink(name); return errno }
	}
	chmod := func(name string) call { return func(f *rootfs.FS) sys.Errno { return f.Chmod(name, 0o600) } }
	utimens := func(name string) call { return func(f *rootfs.FS) sys.Errno { return f.Utimens(name, 1, 2) } }

	for name, tt := range map[string]struct {
		call call
		want sys.Errno
	}{
		"open":                              {opens("f", sys.O_RDONLY), 0},
		"open from a folder":                {opens("/f", sys.O_RDONLY), 0},
		"open what is not there":            {opens("none", sys.O_RDWR), sys.ENOENT},
		"open below what is not there":      {opens("none/x", sys.O_RDWR|sys.O_CREAT), sys.ENOENT},
		"open below a file":                 {opens("f/x", sys.O_RDONLY), sys.ENOTDIR},
		"open a file as a folder":           {opens("f/", sys.O_RDONLY), sys.ENOTDIR},
		"open a file with O_DIRECTORY":      {opens("f", sys.O_DIRECTORY), sys.ENOTDIR},
		"open a folder with O_DIRECTORY":    {opens("dir", sys.O_DIRECTORY), 0},
		"open a link to it likewise":        {opens("dirlink", sys.O_DIRECTORY), 0},
		"open the root":                     {opens(".", sys.O_RDONLY), 0},
		"open the root by nothing":          {opens("", sys.O_DIRECTORY), 0},
		"open the root by a slash":          {opens("/", sys.O_DIRECTORY), 0},
		"open the root by a detour":         {opens("dir/..", sys.O_DIRECTORY), 0},
		"write to a folder":                 {opens("dir", sys.O_RDWR), sys.EISDIR},
		"write to a folder, said":           {opens("dir", sys.O_WRONLY|sys.O_DIRECTORY), sys.EISDIR},
		"create over a folder":              {opens("dir", sys.O_CREAT), sys.EISDIR},
		"create a folder":                   {opens("new", sys.O_CREAT|sys.O_DIRECTORY), sys.EINVAL},
		"create":                            {opens("new", sys.O_CREAT|sys.O_WRONLY), 0},
		"create with a slash":               {opens("new/", sys.O_CREAT|sys.O_WRONLY), sys.ENOENT},
		"create where something is":         {opens("f", sys.O_CREAT|sys.O_EXCL|sys.O_WRONLY), sys.EEXIST},
		"create where a link is":            {opens("dangling", sys.O_CREAT|sys.O_EXCL|sys.O_WRONLY), sys.EEXIST},
		"create through a link":             {opens("dangling", sys.O_CREAT|sys.O_WRONLY), 0},
		"open a dangling link":              {opens("dangling", sys.O_RDONLY), sys.ENOENT},
		"open a loop":                       {opens("loop", sys.O_RDONLY), sys.ELOOP},
		"open a link unfollowed":            {opens("link", sys.O_NOFOLLOW), sys.ELOOP},
		"open a folder's link unfollowed":   {opens("dirlink", sys.O_NOFOLLOW|sys.O_DIRECTORY), sys.ENOTDIR},
		"create a link unfollowed":          {opens("dangling", sys.O_NOFOLLOW|sys.O_CREAT|sys.O_WRONLY), sys.ELOOP},
		"open below a link unfollowed":      {opens("dirlink/../f", sys.O_NOFOLLOW), 0},
		"open no link unfollowed":           {opens("f", sys.O_NOFOLLOW), 0},
		"create unfollowed":                 {opens("new", sys.O_NOFOLLOW|sys.O_CREAT|sys.O_RDWR), 0},
		"read and write and neither":        {opens("f", sys.O_RDWR|sys.O_WRONLY), sys.EINVAL},
		"truncate without writing":          {opens("f", sys.O_TRUNC), sys.EINVAL},
		"open a long name":                  {opens(long, sys.O_RDONLY), sys.ENAMETOOLONG},
		"create a long name":                {opens(long, sys.O_CREAT|sys.O_RDWR), sys.ENAMETOOLONG},
		"open a name with a zero":           {opens("f\x00", sys.O_RDONLY), sys.EINVAL},
		"open outside":                      {opens("../x", sys.O_RDONLY), sys.EPERM},
		"open the outside":                  {opens("..", sys.O_RDONLY), sys.EPERM},
		"open outside by a detour":          {opens("dir/../../x", sys.O_RDONLY), sys.EPERM},
		"create outside":                    {opens("../x", sys.O_CREAT|sys.O_RDWR), sys.EPERM},
		"open outside by a link":            {opens("out", sys.O_RDONLY), sys.EPERM},
		"create outside by a link":          {opens("out", sys.O_CREAT|sys.O_RDWR), sys.EPERM},
		"open outside by an absolute link":  {opens("abs/passwd", sys.O_RDONLY), sys.EPERM},
		"open outside by a chain":           {opens("chain", sys.O_RDONLY), sys.EPERM},
		"stat":                              {stat("link"), 0},
		"stat what is not there":            {stat("none"), sys.ENOENT},
		"stat a dangling link":              {stat("dangling"), sys.ENOENT},
		"stat a loop":                       {stat("loop"), sys.ELOOP},
		"stat outside":                      {stat("../x"), sys.EPERM},
		"stat outside by a link":            {stat("abs"), sys.EPERM},
		"stat a file as a folder":           {stat("f/"), sys.ENOTDIR},
		"lstat a loop":                      {lstat("loop"), 0},
		"lstat a link that leads out":       {lstat("abs"), 0},
		"lstat below it":                    {lstat("abs/passwd"), sys.EPERM},
		"lstat the outside":                 {lstat("dir/../.."), sys.EPERM},
		"mkdir":                             {mkdir("new"), 0},
		"mkdir with a slash":                {mkdir("new/"), 0},
		"mkdir where something is":          {mkdir("f"), sys.EEXIST},
		"mkdir the root":                    {mkdir("."), sys.EEXIST},
		"mkdir below a file":                {mkdir("f/x"), sys.ENOTDIR},
		"mkdir outside":                     {mkdir("../new"), sys.EPERM},
		"mkdir outside by a link":           {mkdir("abs/new"), sys.EPERM},
		"rmdir":                             {rmdir("dir"), 0},
		"rmdir a full folder":               {rmdir("full"), sys.ENOTEMPTY},
		"rmdir a file":                      {rmdir("f"), sys.ENOTDIR},
		"rmdir a link to a folder":          {rmdir("dirlink"), sys.ENOTDIR},
		"rmdir what is not there":           {rmdir("none"), sys.ENOENT},
		"rmdir the root":                    {rmdir("dir/.."), sys.EINVAL},
		"rmdir outside":                     {rmdir("../x"), sys.EPERM},
		"unlink":                            {unlink("f"), 0},
		"unlink a link":                     {unlink("dangling"), 0},
		"unlink a link that leads out":      {unlink("abs"), 0},
		"unlink a folder":                   {unlink("dir"), sys.EISDIR},
		"unlink what is not there":          {unlink("none"), sys.ENOENT},
		"unlink a file as a folder":         {unlink("f/"), sys.ENOTDIR},
		"unlink outside":                    {unlink("abs/passwd"), sys.EPERM},
		"rename":                            {rename("f", "new"), 0},
		"rename a file over a file":         {rename("f", "full/f"), 0},
		"rename a file to itself":           {rename("f", "f"), 0},
		"rename a folder":                   {rename("full", "new"), 0},
		"rename a folder to itself":         {rename("full", "full"), 0},
		"rename a folder over an empty one": {rename("full", "dir"), 0},
		"rename a folder over a full one":   {rename("dir", "full"), sys.ENOTEMPTY},
		"rename a file over a folder":       {rename("f", "dir"), sys.EISDIR},
		"rename a folder over a file":       {rename("dir", "f"), sys.ENOTDIR},
		"rename a folder into itself":       {rename("full", "full/new"), sys.EINVAL},
		"rename what is not there":          {rename("none", "new"), sys.ENOENT},
		"rename to outside":                 {rename("f", "../x"), sys.EPERM},
		"rename to outside by a link":       {rename("f", "abs/x"), sys.EPERM},
		"rename from outside":               {rename("../x", "new"), sys.EPERM},
		"rename over the root":              {rename("dir", "."), sys.EINVAL},
		"link":                              {link("f", "new"), 0},
		"link over something":               {link("f", "full/f"), sys.EEXIST},
		"link what is not there":            {link("none", "new"), sys.ENOENT},
		"link a folder":                     {link("dir", "new"), sys.EPERM},
		"link from outside":                 {link("../x", "new"), sys.EPERM},
		"link to outside":                   {link("f", "../x"), sys.EPERM},
		"symlink":                           {symlink("f", "new"), 0},
		"symlink to nothing there":          {symlink("none/../other", "new"), 0},
		"symlink up, but not out":           {symlink("../f", "dir/new"), 0},
		"symlink out":                       {symlink("../f", "new"), sys.EPERM},
		"symlink out from below":            {symlink("../../f", "dir/new"), sys.EPERM},
		"symlink absolute":                  {symlink("/f", "new"), sys.EPERM},
		"symlink empty":                     {symlink("", "new"), sys.ENOENT},
		"symlink over something":            {symlink("f", "dir"), sys.EEXIST},
		"symlink outside":                   {symlink("f", "../new"), sys.EPERM},
		"symlink outside by a link":         {symlink("f", "abs/new"), sys.EPERM},
		"readlink":                          {readlink("link"), 0},
		"readlink of a file":                {readlink("f"), sys.EINVAL},
		"readlink of what is not there":     {readlink("none"), sys.ENOENT},
		"readlink outside":                  {readlink("../x"), sys.EPERM},
		"chmod":                             {chmod("link"), 0},
		"chmod what is not there":           {chmod("none"), sys.ENOENT},
		"chmod outside":                     {chmod("abs"), sys.EPERM},
		"utimens":                           {utimens("link"), 0},
		"utimens what is not there":         {utimens("none"), sys.ENOENT},
		"utimens outside":                   {utimens("abs"), sys.EPERM},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.call(open(t, tree(t, layout...), false)); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			// A read-only FS says nothing better about paths, and lets no change pass.
			dir := tree(t, layout...)
			before := snapshot(t, dir)
			tt.call(open(t, dir, true))
			if after := snapshot(t, dir); after != before {
				t.Errorf("read-only, it changed:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}
