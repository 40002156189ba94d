//! Key templates: `user:{}`, `{tenant}/{user.id:08d}`, `{{literal}}`.
//!
//! The syntax is Python's format-string syntax (PEP 3101). The engine parses a template and checks it
//! against a signature; each language renders the fields in its own way.

use crate::error::{Code, Error, Result};

/// What a placeholder refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `{}` or `{0}`: the n-th argument, the instance of a method not counted.
    Position(usize),
    /// `{name}`: a parameter.
    Name(String),
}

/// How a value becomes text before it is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// `!s`
    Str,
    /// `!r`
    Repr,
    /// `!a`
    Ascii,
}

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `.name`
    Attribute(String),
    /// `[name]`
    Item(String),
    /// `[0]`
    Index(usize),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stands as it is.
    Literal(String),
    /// A placeholder.
    Placeholder {
        /// What it refers to.
        root: Root,
        /// The way from there to the part that is wanted.
        path: Vec<Field>,
        /// `!s`, `!r` or `!a`.
        conversion: Option<Conversion>,
        /// What follows the colon.
        spec: String,
    },
}

/// What a template may refer to.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Every named parameter in order, the instance of a method included.
    pub names: Vec<String>,
    /// How many of them can be given by position, the instance of a method not counted.
    pub positions: usize,
    /// Whether there is a `*args`.
    pub any_position: bool,
    /// Whether there is a `**kwargs`.
    pub any_name: bool,
}

/// A parsed key template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

impl Template {
    /// Parses `source`.
    ///
    /// # Errors
    /// `config_invalid`, naming the template and what is wrong with it.
    pub fn parse(source: &str) -> Result<Self> {
        let mut parser = Parser { source, rest: source, parts: Vec::new(), literal: String::new(), next: 0, numbered: None };
        parser.run()?;
        Ok(Self { source: source.to_owned(), parts: parser.parts })
    }

    /// Returns the pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns the text the template was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Checks that a call with `signature` can fill every placeholder.
    ///
    /// # Errors
    /// `config_invalid`, naming the placeholder and what the function `name` takes.
    pub fn check(&self, name: &str, signature: &Signature) -> Result<()> {
        for part in &self.parts {
            let Part::Placeholder { root, .. } = part else { continue };
            let (known, shown) = match root {
                Root::Position(n) => (*n < signature.positions || signature.any_position || (*n == 0 && signature.any_name), format!("{{{n}}}")),
                Root::Name(name) => (signature.names.contains(name) || signature.any_name, format!("{{{name}}}")),
            };
            if !known {
                let takes = if signature.names.is_empty() { "no parameters".to_owned() } else { format!("`{}`", signature.names.join("`, `")) };
                return Err(invalid(&self.source, &format!("`{shown}` names nothing that `{name}` takes: it takes {takes}")));
            }
        }
        Ok(())
    }
}

fn invalid(source: &str, what: &str) -> Error {
    Error::new(Code::ConfigInvalid, format!("key template `{source}`: {what}"))
}

struct Parser<'a> {
    source: &'a str,
    rest: &'a str,
    parts: Vec<Part>,
    literal: String,
    next: usize,
    /// Whether positions are numbered by hand; mixing both is an error, as in Python.
    numbered: Option<bool>,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(at) = self.rest.find(['{', '}']) {
            let brace = &self.rest[at..=at];
            self.literal.push_str(&self.rest[..at]);
            self.rest = &self.rest[at + 1..];
            if self.rest.starts_with(brace) {
                self.literal.push_str(brace);
                self.rest = &self.rest[1..];
            } else if brace == "{" {
                self.placeholder()?;
            } else {
                return Err(invalid(self.source, "a single `}`; write `}}` for the character itself"));
            }
        }
        self.literal.push_str(self.rest);
        self.flush();
        Ok(())
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(Part::Literal(std::mem::take(&mut self.literal)));
        }
    }

    fn placeholder(&mut self) -> Result<()> {
        let Some(end) = self.rest.find('}') else {
            return Err(invalid(self.source, "a `{` that is never closed; write `{{` for the character itself"));
        };
        let inside = &self.rest[..end];
        if inside.contains('{') {
            return Err(invalid(self.source, "a placeholder inside a placeholder"));
        }
        self.rest = &self.rest[end + 1..];
        self.flush();
        let (head, spec) = inside.split_once(':').unwrap_or((inside, ""));
        let (head, conversion) = match head.split_once('!') {
            None => (head, None),
            Some((head, "s")) => (head, Some(Conversion::Str)),
            Some((head, "r")) => (head, Some(Conversion::Repr)),
            Some((head, "a")) => (head, Some(Conversion::Ascii)),
            Some((_, other)) => return Err(invalid(self.source, &format!("unknown conversion `!{other}`; use `!s`, `!r` or `!a`"))),
        };
        let cut = head.find(['.', '[']).unwrap_or(head.len());
        let (name, path) = head.split_at(cut);
        let root = self.root(name)?;
        let path = self.path(path)?;
        self.parts.push(Part::Placeholder { root, path, conversion, spec: spec.to_owned() });
        Ok(())
    }

    fn root(&mut self, name: &str) -> Result<Root> {
        let numbered = match name {
            "" => false,
            _ if name.bytes().all(|b| b.is_ascii_digit()) => true,
            _ => {
                let valid = name.chars().all(|c| c == '_' || c.is_alphanumeric()) && !name.starts_with(|c: char| c.is_numeric());
                return if valid { Ok(Root::Name(name.to_owned())) } else { Err(invalid(self.source, &format!("`{{{name}}}` is not a name"))) };
            }
        };
        if *self.numbered.get_or_insert(numbered) != numbered {
            return Err(invalid(self.source, "`{}` and `{0}` cannot be mixed"));
        }
        if numbered {
            return name.parse().map(Root::Position).map_err(|_| invalid(self.source, &format!("`{{{name}}}` is too large a position")));
        }
        self.next += 1;
        Ok(Root::Position(self.next - 1))
    }

    fn path(&self, mut path: &str) -> Result<Vec<Field>> {
        let broken = || invalid(self.source, "a placeholder with an empty or unclosed `.name` or `[item]`");
        let mut fields = Vec::new();
        while !path.is_empty() {
            if let Some(rest) = path.strip_prefix('.') {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, rest) = rest.split_at(end);
                if name.is_empty() {
                    return Err(broken());
                }
                fields.push(Field::Attribute(name.to_owned()));
                path = rest;
            } else {
                let (item, rest) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(broken)?;
                if item.is_empty() {
                    return Err(broken());
                }
                fields.push(item.parse().map_or_else(|_| Field::Item(item.to_owned()), Field::Index));
                path = rest;
            }
        }
        Ok(fields)
    }
}
