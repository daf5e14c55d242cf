//! The `lagwatch` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    lagwatch::cli::main()
}
