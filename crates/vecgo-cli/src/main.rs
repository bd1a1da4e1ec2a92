//! The `vecgo` command.

#![forbid(unsafe_code)]

mod args;
mod failure;
mod output;
mod parquet_file;
mod progress;
mod vector_file;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Verb};
use failure::Failure;
use output::Output;

/// What a verb that ran to its end answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    /// Damage was found, an id was missing: exit code 1.
    No,
}

/// A segment holds a file open, so as many as the system lets us have.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // With fewer the error says so when they are used up.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

fn main() -> ExitCode {
    raise_file_limit();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() && std::env::args().any(|arg| arg == "--json") => {
            let failure = Failure::usage(error.to_string().trim_end());
            Output::new(true).failure(&failure);
            return ExitCode::from(failure.exit_code());
        }
        Err(error) => error.exit(),
    };
    let out = Output::new(args.json);
    let code = match run(args, &out) {
        Ok(Answer::Yes) => out.exit_code(0),
        Ok(Answer::No) => out.exit_code(1),
        // Whether or not anybody reads it.
        Err(failure) => {
            out.failure(&failure);
            failure.exit_code()
        }
    };
    ExitCode::from(code)
}

fn run(args: Args, out: &Output) -> Result<Answer, Failure> {
    let target = args.target();
    match args.verb {
        Verb::Create(create) => verbs::collections::create(&target, create, out),
        Verb::Collections { .. } => verbs::collections::list(&target, out),
        Verb::Drop { .. } => verbs::collections::drop(&target, out),
        Verb::Rename { to, .. } => verbs::collections::rename(&target, to, out),
        Verb::Import(import) => verbs::import::run(&target, import, out),
        Verb::Search(search) => verbs::search::run(&target, search, out),
        Verb::Bench(bench) => verbs::bench::run(&target, bench, out),
        Verb::Get(ids) => verbs::records::get(&target, &ids, out),
        Verb::Delete(ids) => verbs::records::delete(&target, &ids, out),
        Verb::Explain(args) => verbs::explain::run(&target, &args, out),
        Verb::Facet { field, k, filter, .. } => {
            verbs::records::facet(&target, &field, k, filter.as_ref(), out)
        }
        Verb::Schema { file, .. } => verbs::schema::run(&target, file.as_deref(), out),
        Verb::Configure { config, .. } => verbs::configure::run(&target, &config, out),
        Verb::Count { filter, .. } => verbs::records::count(&target, filter.as_ref(), out),
        Verb::Stats { .. } => verbs::inspect::stats(&target, out),
        Verb::Versions { .. } => verbs::versions::list(&target, out),
        Verb::Verify { .. } => verbs::inspect::verify(&target, out),
        Verb::Compact { .. } => verbs::compact::run(&target, out),
        Verb::Vacuum { keep, .. } => verbs::versions::vacuum(&target, keep, out),
        Verb::Tag { tag, version, .. } => verbs::versions::tag(&target, tag, version, out),
        Verb::Untag { tag, .. } => verbs::versions::untag(&target, tag, out),
        Verb::Snapshot(args) => verbs::backups::snapshot(&target, &args, out),
        Verb::Backup(args) => verbs::backups::backup(&target, &args, out),
        Verb::Restore(args) => verbs::backups::restore(&target, args, out),
        Verb::Backups { what } => verbs::backups::backups(what, out),
        Verb::Export(args) => verbs::export::run(&target, &args, out),
        Verb::Clone(args) => verbs::backups::clone(&target, args, out),
        Verb::Serve(args) => verbs::serve::run(&target, &args, out),
        Verb::Config { what } => verbs::config::run(&target, &what, out),
        Verb::Sizing(sizing) => verbs::sizing::run(&sizing, out),
        Verb::Doctor { .. } => verbs::doctor::run(&target, out),
        Verb::Demo(demo) => verbs::demo::run(&target, demo, out),
        Verb::DemoWriter { .. } => verbs::demo::write_until_killed(&target, out),
        Verb::Completions { shell } => verbs::completions(shell, out),
    }
}
