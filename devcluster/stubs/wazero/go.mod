module github.com/tetratelabs/wazero

go 1.25.0
