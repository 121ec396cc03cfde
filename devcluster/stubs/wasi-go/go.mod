module github.com/stealthrocket/wasi-go

go 1.25.0

require github.com/tetratelabs/wazero v1.8.0
