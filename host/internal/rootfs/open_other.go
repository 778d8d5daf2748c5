//go:build !unix

package rootfs

// waitless: there is nothing in a folder that opening could wait for.
const waitless = 0
