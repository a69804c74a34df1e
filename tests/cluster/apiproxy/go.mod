module loods.io/tests/apiproxy

go 1.22
