package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var set = plugintest.Set

// The digests of "abc" from the documents that define the algorithms, or their own tests.
func TestKnownDigests(t *testing.T) {
	plugintest.Table(t, process, []plugintest.Row{
		{nil, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"},
		{set("algorithm=sha512"), "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\n"},
		{set("algorithm=sha384"), "abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7\n"},
		{set("algorithm=sha3-256"), "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532\n"},
		{set("algorithm=sha1"), "abc", "a9993e364706816aba3e25717850c26c9cd0d89d\n"},
		{set("algorithm=md5"), "abc", "900150983cd24fb0d6963f7d28e17f72\n"},
		{set("algorithm=blake2b-512"), "abc", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923\n"},
		{set("algorithm=xxh64"), "abc", "44bc2cf5ad770999\n"},
		{set("algorithm=crc32"), "123456789", "cbf43926\n"},
		{set("encoding=base64"), "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\n"},
		{set("encoding=base64url"), "abc", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0\n"},
		{set("encoding=raw", "algorithm=crc32"), "123456789", "\xcb\xf4\x39\x26"},
		// RFC 4231 and RFC 2202.
		{set("key=Jefe"), "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\n"},
		{set("key=0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "key_encoding=hex", "algorithm=md5"), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d\n"},
		{set("key=SmVmZQ==", "key_encoding=base64", "algorithm=sha1"), "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79\n"},
	})
	var all map[string]any
	if err := json.Unmarshal([]byte(plugintest.Run(t, allAlone, "abc")), &all); err != nil || len(all) != len(algorithms)+1 || all["bytes"] != 3.0 {
		t.Errorf("%v, %v", all, err)
	}
	for _, algorithm := range algorithms {
		if got := plugintest.Run(t, process, "abc", "algorithm="+algorithm); strings.TrimSpace(got) != all[algorithm] {
			t.Errorf("%s: %s alone, %s with the others", algorithm, got, all[algorithm])
		}
	}
}

func TestVerify(t *testing.T) {
	readme := plugintest.File(t, "README.md")
	out, err := exec.Command("sha256sum", "../../../README.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range [][]string{
		{"expected=" + string(out)},
		{"expected=sha256:" + strings.Fields(string(out))[0]},
		{"expected=" + plugintest.Run(t, process, readme, "encoding=base64")},
		{"expected=" + plugintest.Run(t, process, readme, "encoding=base64url", "key=k"), "key=k"},
		{"expected=" + plugintest.Run(t, process, readme, "algorithm=crc32"), "algorithm=crc32"},
	} {
		if got := plugintest.Run(t, verifyAlone, readme, config...); got != readme {
			t.Errorf("%q: not the input", config)
		}
	}
	plugintest.Refuse(t, []plugintest.Refused{
		{verifyAlone, readme + " ", set("expected=" + string(out)), "its hash differs"},
		{verifyAlone, readme, set("expected="+string(out), "algorithm=md5"), "not a hash of 16 bytes"},
		{verifyAlone, readme, nil, "config expected is missing"},
		{process, "", set("algorithm=rot13"), `config algorithm: "rot13" is none of sha256, sha512`},
		{process, "", set("algorithm=crc32", "key=k"), "takes no key"},
		{process, "", set("algorithm=blake2b-256", "key="+strings.Repeat("k", 65)), "it has 65"},
		{process, "", set("key=secret", "key_encoding=hex"), "config key is not in hex"},
		{process, "", set("encoding=hex64"), "config encoding"},
	})
}

func TestProgressOfLargeInput(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 5<<20/32)
	if r := plugintest.Call(process, large); len(r.Progress) != 3 || r.Progress[2].Fraction != 1 {
		t.Errorf("%+v", r.Progress)
	}
}
