package rust

import "github.com/kn-lite/kn-lite/internal/build/lang"

var _ lang.VariableReader = Language{}

// Variables implements lang.VariableReader: what cargo, rustc, the C compiler and
// the usual build scripts of crates read.
func (Language) Variables(*lang.Project) lang.Variables {
	return lang.Variables{
		RunsCode: true, // build.rs, macros and env!
		Inputs: []string{
			"CARGO_*", "RUSTFLAGS", "RUSTC", "RUSTC_*", "RUSTDOCFLAGS",
			"CC", "CC_*", "CXX", "CXX_*", "AR", "AR_*", "LD", "CFLAGS", "CFLAGS_*", "CXXFLAGS", "CXXFLAGS_*", "CPPFLAGS", "LDFLAGS", "TARGET_*", "HOST_*",
			"CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "PKG_CONFIG", "PKG_CONFIG_*", "CMAKE", "CMAKE_*", "NIX_CFLAGS_COMPILE*", "NIX_LDFLAGS*",
			"OPENSSL_*", "LIBCLANG_PATH", "LLVM_CONFIG_PATH", "PROTOC", "PROTOC_INCLUDE", "SQLX_OFFLINE", "SQLX_OFFLINE_DIR",
		},
		Means: []string{
			"CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "CARGO_BUILD_BUILD_DIR", "CARGO_BUILD_JOBS", "CARGO_INCREMENTAL", "CARGO_BUILD_INCREMENTAL",
			"CARGO_NET_*", "CARGO_HTTP_*", "CARGO_REGISTRY_*", "CARGO_REGISTRIES_*", "CARGO_TERM_*", "CARGO_LOG", "CARGO_MAKEFLAGS", "RUSTUP_*",
		},
	}
}
