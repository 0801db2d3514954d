//! The terminal: taken over, given back whatever happens, and the loop between.
//!
//! One thread reads events, one waits for signals, anyone may say that data changed. The loop draws at most sixty times a
//! second and not at all while nothing happens: it sleeps until a message or the one timer a screen asked for.

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crossterm::{
    cursor,
    event::{self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event},
    execute, terminal,
};
use ratatui::{Terminal, backend::CrosstermBackend, layout::Rect};

mod signals;

/// Sixty frames a second.
const FRAME: Duration = Duration::from_millis(16);
/// How long the reader may sit in a wait before it sees that it is to pause.
const POLL: Duration = Duration::from_millis(200);

/// What wakes the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Wake {
    /// A key, a click, a paste, another size.
    Event(Event),
    /// There is more to show. Several become one.
    Changed,
    /// The timer the screen asked for.
    Tick,
    /// SIGTERM or SIGHUP, or an interrupt from outside: leave.
    Quit,
    /// SIGTSTP from outside; the loop sees to it itself.
    Suspend,
    /// SIGCONT: the shell may have changed the terminal; the loop sees to it itself.
    Resumed,
}

/// What the screen wants of the terminal after it took a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Nothing changed.
    #[default]
    Nothing,
    /// Draw.
    Draw,
    /// Clear and draw: something else may have written to the screen.
    Redraw,
    /// Give the terminal back, stop as job control has it, take it again.
    Suspend,
    /// Leave the loop.
    Leave,
}

/// A screen: messages in, drawings out. It does nothing else; what is to be done outside goes through `effects`.
pub trait Screen {
    /// What is to be done outside.
    type Effect;
    /// Takes a message.
    fn update(&mut self, wake: Wake, now: Instant, effects: &mut Vec<Self::Effect>) -> After;
    /// Draws.
    fn draw(&self, frame: &mut ratatui::Frame<'_>);
    /// When it next wants [`Wake::Tick`]: while something on it counts seconds, never otherwise.
    fn next_tick(&self) -> Option<Instant> {
        None
    }
}

/// What carries out effects. It may use the terminal by [`Session::outside`].
pub type Perform<'a, E> = dyn FnMut(E, &mut Session) -> io::Result<()> + 'a;

/// Says that data changed; cheap, from any thread, as often as one likes.
#[derive(Clone, Debug)]
pub struct Waker {
    sender: Sender<Wake>,
    is_pending: Arc<AtomicBool>,
}

impl Waker {
    /// Wakes the loop, once until it has looked.
    pub fn wake(&self) {
        if !self.is_pending.swap(true, Ordering::AcqRel) {
            // The loop may be gone already; then nobody needs waking.
            let _ = self.sender.send(Wake::Changed);
        }
    }
}

/// Which parts of the terminal are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Mouse events; with them, selecting text needs shift in most terminals.
    pub has_mouse: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { has_mouse: true }
    }
}

/// Takes the terminal over.
fn enter(options: Options) -> io::Result<()> {
    terminal::enable_raw_mode()?;
    let taken = execute!(io::stdout(), terminal::EnterAlternateScreen, EnableBracketedPaste)
        .and_then(|()| if options.has_mouse { execute!(io::stdout(), EnableMouseCapture) } else { Ok(()) });
    if taken.is_err() {
        leave();
    }
    taken
}

/// Gives the terminal back. Can be done twice; every step is tried even if one fails.
fn leave() {
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture, DisableBracketedPaste, terminal::LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
    let _ = out.flush();
}

/// The panic message belongs on the screen the user came from.
fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A panic of a thread that has nothing to do with the screen is caught where the thread is joined; giving the
            // terminal back is still right, since nobody knows whether the loop goes on.
            if IS_TAKEN.swap(false, Ordering::AcqRel) {
                leave();
            }
            before(info);
        }));
    });
}

static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours; given back when dropped.
pub struct Session {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    options: Options,
    pause: Arc<Pause>,
    sender: Sender<Wake>,
    receiver: Receiver<Wake>,
    is_pending: Arc<AtomicBool>,
}

impl Session {
    /// Takes the terminal over and begins to listen.
    pub fn start(options: Options) -> io::Result<Self> {
        restore_on_panic();
        enter(options)?;
        IS_TAKEN.store(true, Ordering::Release);
        let (sender, receiver) = mpsc::channel();
        let terminal = match Terminal::new(CrosstermBackend::new(io::stdout())) {
            Ok(terminal) => terminal,
            Err(error) => {
                IS_TAKEN.store(false, Ordering::Release);
                leave();
                return Err(error);
            }
        };
        let pause = Arc::new(Pause::default());
        read_events(sender.clone(), Arc::clone(&pause))?;
        signals::listen(sender.clone())?;
        Ok(Self { terminal, options, pause, sender, receiver, is_pending: Arc::default() })
    }

    /// What others wake the loop with.
    pub fn waker(&self) -> Waker {
        Waker { sender: self.sender.clone(), is_pending: Arc::clone(&self.is_pending) }
    }

    /// Gives the terminal to something else for as long as it runs: an editor, a pager.
    pub fn outside<T>(&mut self, run: impl FnOnce() -> T) -> io::Result<T> {
        self.pause.begin();
        IS_TAKEN.store(false, Ordering::Release);
        leave();
        let outcome = run();
        enter(self.options)?;
        IS_TAKEN.store(true, Ordering::Release);
        self.pause.end();
        self.clear()?;
        Ok(outcome)
    }

    /// Clears the screen, so that the next draw writes every cell. Not by the terminal's own `clear`: that asks the terminal where
    /// the cursor is, and the thread that reads events would take the answer.
    fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Runs a screen until it leaves.
    pub fn run<S: Screen>(&mut self, screen: &mut S, perform: &mut Perform<'_, S::Effect>) -> io::Result<()> {
        let mut pace = Pace::default();
        let mut effects = Vec::new();
        // What the screen was told before comes first: nobody wants to see it empty for a moment.
        let mut wants_draw = !self.is_pending.load(Ordering::Acquire);
        loop {
            let now = Instant::now();
            if wants_draw && pace.may_draw(now) {
                self.terminal.draw(|frame| screen.draw(frame))?;
                pace.drew(now);
                wants_draw = false;
            }
            let Some(wake) = self.next(pace.wait(wants_draw, screen.next_tick(), now)) else {
                // Only the time for a draw has come.
                continue;
            };
            match wake {
                // Whatever changes from here on wakes us again.
                Wake::Changed => self.is_pending.store(false, Ordering::Release),
                Wake::Suspend => {
                    self.outside(signals::stop)?;
                    wants_draw = true;
                    continue;
                }
                Wake::Resumed => {
                    self.outside(|| ())?;
                    wants_draw = true;
                    continue;
                }
                _ => {}
            }
            let after = screen.update(wake, Instant::now(), &mut effects);
            for effect in effects.drain(..) {
                perform(effect, self)?;
                wants_draw = true;
            }
            match after {
                After::Nothing => {}
                After::Draw => wants_draw = true,
                After::Redraw => {
                    self.clear()?;
                    wants_draw = true;
                }
                After::Suspend => {
                    self.outside(signals::stop)?;
                    wants_draw = true;
                }
                After::Leave => return Ok(()),
            }
        }
    }

    /// The next message, or none when only the time for a draw has come.
    fn next(&self, wait: Wait) -> Option<Wake> {
        let (until, on_time) = match wait {
            Wait::Message => return Some(self.receiver.recv().unwrap_or(Wake::Quit)),
            Wait::Draw(until) => (until, None),
            Wait::Tick(until) => (until, Some(Wake::Tick)),
        };
        match self.receiver.recv_timeout(until) {
            Ok(wake) => Some(wake),
            Err(RecvTimeoutError::Timeout) => on_time,
            Err(RecvTimeoutError::Disconnected) => Some(Wake::Quit),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.pause.stop();
        if IS_TAKEN.swap(false, Ordering::AcqRel) {
            leave();
        }
    }
}

/// When to draw and how long to sleep, without a clock of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    last: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// As long as it takes.
    Message,
    /// A message, or so long until a draw is due.
    Draw(Duration),
    /// A message, or so long until the timer.
    Tick(Duration),
}

impl Pace {
    fn may_draw(self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) >= FRAME)
    }

    fn drew(&mut self, now: Instant) {
        self.last = Some(now);
    }

    fn wait(self, wants_draw: bool, tick: Option<Instant>, now: Instant) -> Wait {
        let draw = self.last.filter(|_| wants_draw).map(|last| FRAME.saturating_sub(now.saturating_duration_since(last)));
        let tick = tick.map(|at| at.saturating_duration_since(now));
        match (draw, tick) {
            (Some(draw), Some(tick)) if tick < draw => Wait::Tick(tick),
            (Some(draw), _) => Wait::Draw(draw),
            (None, Some(tick)) => Wait::Tick(tick),
            (None, None) => Wait::Message,
        }
    }
}

/// Keeps the reader from the terminal while something else has it.
#[derive(Debug, Default)]
struct Pause {
    state: Mutex<PauseState>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PauseState {
    #[default]
    Running,
    Wanted,
    Paused,
    Stopped,
}

impl Pause {
    fn set(&self, state: PauseState) {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Once stopped, always stopped.
        if *held != PauseState::Stopped {
            *held = state;
        }
        self.changed.notify_all();
    }

    /// Waits until the reader is out of the way.
    fn begin(&self) {
        self.set(PauseState::Wanted);
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _unused = self.changed.wait_while(held, |state| *state == PauseState::Wanted).unwrap_or_else(PoisonError::into_inner);
    }

    fn end(&self) {
        self.set(PauseState::Running);
    }

    fn stop(&self) {
        self.set(PauseState::Stopped);
    }

    /// For the reader: waits while it is to pause; false when it is to end.
    fn pass(&self) -> bool {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == PauseState::Wanted {
            *held = PauseState::Paused;
            self.changed.notify_all();
        }
        let held = self
            .changed
            .wait_while(held, |state| matches!(state, PauseState::Paused | PauseState::Wanted))
            .unwrap_or_else(PoisonError::into_inner);
        *held == PauseState::Running
    }
}

fn read_events(sender: Sender<Wake>, pause: Arc<Pause>) -> io::Result<()> {
    thread::Builder::new().name("terminal events".to_owned()).spawn(move || {
        while pause.pass() {
            // Waiting with a limit costs five wake-ups a second in this thread, not a draw; without one, an editor that is
            // started would lose its first key to us.
            let wake = match event::poll(POLL) {
                Ok(true) => event::read().map_or(Wake::Quit, Wake::Event),
                Ok(false) => continue,
                Err(_) => Wake::Quit,
            };
            let is_last = wake == Wake::Quit;
            if sender.send(wake).is_err() || is_last {
                return;
            }
        }
        pause.stop();
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_do_means_sleeping_without_a_limit() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.may_draw(now));
        pace.drew(now);
        assert_eq!(pace.wait(false, None, now), Wait::Message);
    }

    #[test]
    fn a_draw_waits_for_its_turn_and_a_timer_for_its_time() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.drew(now);
        let soon = now + Duration::from_millis(4);
        assert!(!pace.may_draw(soon));
        assert_eq!(pace.wait(true, None, soon), Wait::Draw(Duration::from_millis(12)));
        assert_eq!(pace.wait(true, Some(now + Duration::from_millis(6)), soon), Wait::Tick(Duration::from_millis(2)));
        assert_eq!(pace.wait(false, Some(now), soon), Wait::Tick(Duration::ZERO));
        assert!(pace.may_draw(now + FRAME));
    }

    #[test]
    fn sixty_draws_a_second_at_most() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        let draws = (0..1_000)
            .filter(|ms| {
                let now = begin + Duration::from_millis(*ms);
                let may = pace.may_draw(now);
                if may {
                    pace.drew(now);
                }
                may
            })
            .count();
        assert!((58..=63).contains(&draws), "{draws}");
    }

    #[test]
    fn many_changes_are_one_message_until_the_loop_has_looked() {
        let (sender, receiver) = mpsc::channel();
        let waker = Waker { sender, is_pending: Arc::default() };
        for _ in 0..1_000 {
            waker.wake();
        }
        assert_eq!(receiver.try_iter().count(), 1);
        waker.is_pending.store(false, Ordering::Release);
        waker.wake();
        assert_eq!(receiver.try_iter().count(), 1);
    }

    #[test]
    fn the_reader_is_out_of_the_way_before_something_else_has_the_terminal() {
        let pause = Arc::new(Pause::default());
        let (told, seen) = mpsc::channel();
        let reader = {
            let pause = Arc::clone(&pause);
            thread::spawn(move || {
                while pause.pass() {
                    if told.send(()).is_err() {
                        return;
                    }
                    thread::yield_now();
                }
            })
        };
        seen.recv().unwrap();
        pause.begin();
        let _ = seen.try_iter().count();
        assert_eq!(seen.try_recv(), Err(mpsc::TryRecvError::Empty));
        pause.end();
        seen.recv_timeout(Duration::from_secs(10)).unwrap();
        pause.stop();
        drop(seen);
        reader.join().unwrap();
    }
}
