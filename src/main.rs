//! The program `loods`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    loods::cli::main()
}
