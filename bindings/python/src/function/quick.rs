//! The text of a key, written from plain arguments to the stack.
//!
//! The text of its key is what an entry is found by; so `1`, `True`, `1.0` and `"1"` are told apart exactly as the template
//! tells them apart. It is written anew for each call, from the arguments where they lie; no string is made. A call with
//! few arguments mostly needs not even that: see [`super::memo`].
//!
//! Only arguments whose text needs no code of the user's are written here: `str`, `int` up to 64 bits, `bytes`, `bool`
//! and `None`, exactly these types. For all others the call goes the long way ([`super::key`]).

use std::{mem::MaybeUninit, slice};

use pyo3::ffi;
use undercroft::engine::key::{Conversion, Part, Root, Template};

use super::{
    key::{KeyPlan, Keys, LONGEST},
    plain::{number, utf8},
};

/// What a call was given, borrowed from the caller for as long as the call lasts.
pub(super) struct Call<'a> {
    /// By position.
    pub(super) args: &'a [*mut ffi::PyObject],
    /// By keyword: the names, and behind `args` the values.
    pub(super) names: &'a [*mut ffi::PyObject],
    pub(super) values: &'a [*mut ffi::PyObject],
}

impl<'a> Call<'a> {
    /// Reads the arguments of a vectorcall.
    ///
    /// # Safety
    /// They are as PEP 590 says, and alive for `'a`.
    #[inline]
    pub(super) unsafe fn new(args: *const *mut ffi::PyObject, count: usize, kwnames: *mut ffi::PyObject) -> Self {
        // SAFETY: the caller's promise; the items of a tuple lie in a row.
        unsafe {
            if kwnames.is_null() {
                return Self { args: items(args, count), names: &[], values: &[] };
            }
            let names = items((&raw const (*kwnames.cast::<ffi::PyTupleObject>()).ob_item).cast(), ffi::PyTuple_GET_SIZE(kwnames) as usize);
            Self { args: items(args, count), names, values: items(args.add(count), names.len()) }
        }
    }
}

unsafe fn items<'a>(start: *const *mut ffi::PyObject, count: usize) -> &'a [*mut ffi::PyObject] {
    // SAFETY: the caller's promise; without arguments there may be no pointer.
    if count == 0 { &[] } else { unsafe { slice::from_raw_parts(start, count) } }
}

/// A key on the stack.
pub(super) struct Text {
    bytes: [MaybeUninit<u8>; LONGEST],
    len: usize,
}

impl Text {
    #[inline]
    pub(super) fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; LONGEST], len: 0 }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written by `push`.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len) }
    }

    /// Adds bytes, if there is room for them.
    #[inline]
    fn push(&mut self, text: &[u8]) -> Option<()> {
        let room = self.bytes.get_mut(self.len..self.len + text.len())?;
        // SAFETY: initialised bytes may be written where none are.
        let text: &[MaybeUninit<u8>] = unsafe { slice::from_raw_parts(text.as_ptr().cast(), text.len()) };
        // Most pieces are short: two moves of fixed length, which may overlap, instead of a call.
        match text.len() {
            8..=16 => ends::<8>(room, text),
            4..8 => ends::<4>(room, text),
            2..4 => ends::<2>(room, text),
            _ => room.copy_from_slice(text),
        }
        self.len += text.len();
        Some(())
    }

    #[inline]
    fn push_literal(&mut self, literal: &Literal) -> Option<()> {
        if literal.len > 16 {
            return self.push(&literal.whole);
        }
        self.bytes.get_mut(self.len..self.len + 16)?.copy_from_slice(&literal.start.map(MaybeUninit::new));
        self.len += literal.len;
        Some(())
    }

    /// Adds a number.
    #[inline]
    fn push_number(&mut self, number: i64) -> Option<()> {
        let Ok(number @ 0..100_000_000) = u64::try_from(number) else {
            return self.push(itoa::Buffer::new().format(number).as_bytes());
        };
        let digits = digits(number);
        let zeros = (digits.trailing_zeros() / 8).min(7);
        let text = (digits | 0x3030_3030_3030_3030) >> (8 * zeros);
        let room = self.bytes.get_mut(self.len..self.len + 8)?;
        room.copy_from_slice(&text.to_le_bytes().map(MaybeUninit::new));
        self.len += 8 - zeros as usize;
        Some(())
    }
}

/// Returns the eight decimal digits of a number below 100,000,000, the first one in the lowest byte.
///
/// All at once: first the two halves of four digits, then their halves, then the digits, side by side in one word.
#[inline]
fn digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let upper = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let pairs = upper | ((halves - 100 * upper) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((pairs - 10 * tens) << 8)
}

/// Copies the first and the last `N` items.
#[inline]
fn ends<const N: usize>(room: &mut [MaybeUninit<u8>], text: &[MaybeUninit<u8>]) {
    let last = text.len() - N;
    room[..N].copy_from_slice(&text[..N]);
    room[last..].copy_from_slice(&text[last..]);
}

/// How the key of a call is written.
pub(super) struct Quick {
    steps: Vec<Step>,
    /// The arguments, if they are few.
    few: Option<Few>,
}

/// The arguments that make a key, where they are one or two.
#[derive(Clone, Copy)]
pub(super) struct Few {
    pub(super) first: Source,
    pub(super) second: Option<Source>,
    /// How many bytes of every key stand before the text of the first.
    pub(super) before: usize,
    /// How many stand behind the text of the last.
    pub(super) behind: usize,
}

/// Which argument a step writes.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// That in this place behind the instance, whatever parameter it is for.
    Position(usize),
    /// That for this parameter.
    Parameter(usize),
}

impl Source {
    /// Returns the place of its parameter.
    #[inline]
    pub(super) fn parameter(self, method: usize) -> usize {
        match self {
            Source::Position(at) => at + method,
            Source::Parameter(at) => at,
        }
    }

    #[inline]
    fn find(self, keys: &Keys, method: usize, call: &Call<'_>) -> Option<*mut ffi::PyObject> {
        match self {
            Source::Position(at) => call.args.get(at + method).copied().or_else(|| keys.parameters.find(at + method, call)),
            Source::Parameter(at) => keys.parameters.find(at, call),
        }
    }
}

enum Step {
    Literal(Literal),
    /// An argument, as text.
    Text(Source),
    /// An argument, as a literal of Python's.
    Literally(Source),
}

impl Quick {
    /// Reads how keys are made; `None` where every key needs the long way.
    pub(super) fn of(keys: &Keys) -> Option<Self> {
        let mut steps = match &keys.plan {
            KeyPlan::Fixed(_) | KeyPlan::Callable(_) => return None,
            KeyPlan::Template(template) => of_template(template, keys)?,
            // Arguments that no parameter names are part of these keys.
            KeyPlan::All { .. } if keys.parameters.takes_any() => return None,
            KeyPlan::All { prefix, .. } => of_all(prefix, keys),
        };
        steps.push(Step::literal(&keys.suffix));
        steps.retain(|step| !matches!(step, Step::Literal(literal) if literal.len == 0));
        let few = few(&steps);
        Some(Self { steps, few })
    }

    /// Returns the arguments that make a key, if they are few.
    pub(super) fn few(&self) -> Option<Few> {
        self.few
    }

    /// Writes the key of a call that fits the signature; `None` where that needs the long way.
    #[inline]
    pub(super) fn write(&self, keys: &Keys, method: usize, call: &Call<'_>, text: &mut Text) -> Option<()> {
        for step in &self.steps {
            match step {
                Step::Literal(literal) => text.push_literal(literal)?,
                Step::Text(source) => write(source.find(keys, method, call)?, text)?,
                Step::Literally(source) => write_literally(source.find(keys, method, call)?, text)?,
            }
        }
        Some(())
    }
}

fn few(steps: &[Step]) -> Option<Few> {
    // The quotes around a text belong to what is the same in every key.
    let arguments: Vec<(usize, Source, usize)> = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| match step {
            Step::Literal(_) => None,
            Step::Text(source) => Some((at, *source, 0)),
            Step::Literally(source) => Some((at, *source, 1)),
        })
        .collect();
    let length = |steps: &[Step]| steps.iter().map(|step| if let Step::Literal(literal) = step { literal.len } else { 0 }).sum::<usize>();
    let ((first_at, first, quote), (last_at, last, _)) = (*arguments.first()?, *arguments.last()?);
    let second = (first_at != last_at).then_some(last);
    (arguments.len() <= 2).then(|| Few { first, second, before: length(&steps[..first_at]) + quote, behind: length(&steps[last_at + 1..]) + quote })
}

/// A piece of a key that is the same in every call.
struct Literal {
    /// Its first bytes, in full width: copying a fixed number of them is one move.
    start: [u8; 16],
    len: usize,
    whole: Box<[u8]>,
}

impl Step {
    fn literal(text: &str) -> Self {
        let mut start = [0; 16];
        let len = text.len().min(16);
        start[..len].copy_from_slice(&text.as_bytes()[..len]);
        Step::Literal(Literal { start, len: text.len(), whole: text.as_bytes().into() })
    }
}

fn of_template(template: &Template, keys: &Keys) -> Option<Vec<Step>> {
    let step = |part: &Part| match part {
        Part::Literal(text) => Some(Step::literal(text)),
        Part::Placeholder { root, path, conversion: None | Some(Conversion::Str), spec } if path.is_empty() && spec.is_empty() => match root {
            Root::Position(at) => Some(Step::Text(Source::Position(*at))),
            Root::Name(name) => keys.parameters.position_of(name).map(|at| Step::Text(Source::Parameter(at))),
        },
        Part::Placeholder { .. } => None,
    };
    template.parts().iter().map(step).collect()
}

fn of_all(prefix: &str, keys: &Keys) -> Vec<Step> {
    let mut steps = vec![Step::literal(&format!("{prefix}("))];
    for (at, name) in keys.parameters.texts().iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        steps.push(Step::literal(&format!("{comma}{name}=")));
        steps.push(Step::Literally(Source::Parameter(at)));
    }
    steps.push(Step::literal(")"));
    steps
}

/// Writes what `format(value, "")` gives.
#[inline]
fn write(value: *mut ffi::PyObject, text: &mut Text) -> Option<()> {
    // SAFETY: the value is an argument or a default, which the caller or the function keeps alive.
    unsafe {
        if ffi::PyUnicode_CheckExact(value) != 0 {
            return text.push(utf8(value)?);
        }
    }
    write_literally_but_text(value, text)
}

/// Writes what `repr(value)` gives.
fn write_literally(value: *mut ffi::PyObject, text: &mut Text) -> Option<()> {
    // SAFETY: as above.
    unsafe {
        if ffi::PyUnicode_CheckExact(value) != 0 {
            return quote("'", utf8(value)?, text);
        }
    }
    write_literally_but_text(value, text)
}

/// Writes a value whose text and literal are the same.
#[inline]
fn write_literally_but_text(value: *mut ffi::PyObject, text: &mut Text) -> Option<()> {
    // SAFETY: as above; the exact types leave no code of the user's to run.
    unsafe {
        if ffi::PyLong_CheckExact(value) != 0 {
            return text.push_number(number(value)?);
        }
        if value == ffi::Py_None() {
            return text.push(b"None");
        }
        if value == ffi::Py_True() {
            return text.push(b"True");
        }
        if value == ffi::Py_False() {
            return text.push(b"False");
        }
        if ffi::PyBytes_CheckExact(value) != 0 {
            let bytes = slice::from_raw_parts(ffi::PyBytes_AsString(value).cast::<u8>(), ffi::PyBytes_Size(value) as usize);
            return quote("b'", bytes, text);
        }
    }
    None
}

/// Writes a literal that needs no escapes, and no other quotes.
fn quote(opening: &str, bytes: &[u8], text: &mut Text) -> Option<()> {
    if !bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\')) {
        return None;
    }
    text.push(opening.as_bytes())?;
    text.push(bytes)?;
    text.push(b"'")
}
