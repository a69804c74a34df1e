module loods.io/tests/whoami

go 1.22
