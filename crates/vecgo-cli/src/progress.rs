//! How far a long verb is: a bar with rate and time left on a terminal, now and then a line
//! elsewhere.

#![expect(clippy::disallowed_methods, reason = "progress is told by the machine's clock")]

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::note;

const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: Option<u64>,
    done: u64,
    start: Instant,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} eta {eta}",
            None => "{msg} {spinner} {human_pos} {per_sec}",
        };
        Self::with(what, total, template)
    }

    /// Of so many bytes.
    pub(crate) fn of_bytes(what: &'static str, total: u64) -> Self {
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
        Self::with(what, Some(total), template)
    }

    fn with(what: &'static str, total: Option<u64>, template: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar
        });
        let now = Instant::now();
        Self { bar, what, total, done: 0, start: now, last_line: now }
    }

    pub(crate) fn advance(&mut self, by: u64) {
        self.reach(self.done + by);
    }

    /// Goes on to so many in all.
    pub(crate) fn reach(&mut self, done: u64) {
        self.done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.line();
            }
            None => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is shown in whole numbers")]
    fn line(&self) {
        let rate = self.done as f64 / self.start.elapsed().as_secs_f64().max(1e-9);
        let total = self.total.map_or(String::new(), |total| {
            let left = total.saturating_sub(self.done) as f64 / rate.max(1e-9);
            format!(" of {total}, {left:.0} s left")
        });
        note(format!("{}: {}{total}, {rate:.0} a second", self.what, self.done));
    }

    /// Ends the bar and gives the seconds since the start.
    pub(crate) fn finish(self) -> f64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.start.elapsed().as_secs_f64()
    }
}
