package sslcv

import (
	"strings"
	"testing"
)

func TestLayout(t *testing.T) {
	plain := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	for _, pair := range layouts() {
		ours, theirs := pair[0], pair[1]
		if ours.Size() != theirs.Size() || ours.NumField() != theirs.NumField() {
			t.Errorf("%v has %d bytes, %d fields; %v %d, %d", ours, ours.Size(), ours.NumField(), theirs, theirs.Size(),
				theirs.NumField())
			continue
		}
		for i := 0; i < ours.NumField(); i++ {
			a, b := ours.Field(i), theirs.Field(i)
			if plain(a.Name) != plain(b.Name) || a.Offset != b.Offset || a.Type.Kind() != b.Type.Kind() {
				t.Errorf("%v.%s is %v at %d; %v.%s %v at %d", ours, a.Name, a.Type, a.Offset, theirs, b.Name, b.Type, b.Offset)
			}
		}
	}
}
