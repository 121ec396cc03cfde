package runtimetest

import "testing"

func TestFake(t *testing.T) { Test(t, Subject{Runtime: &Fake{Dir: t.TempDir()}, Ref: "fake"}) }
