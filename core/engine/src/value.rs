//! Values: the host's own object, its bytes, or both.

use std::{
    any::Any,
    fmt,
    ptr::NonNull,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

/// The host's own object. Only the host that made it looks inside.
pub trait Object: Any + Send + Sync {
    /// Gives away a reference of its own to the object, if it has one to give.
    ///
    /// That is all that memory keeps then: a pointer, without the `Arc` around it.
    fn raw(&self) -> Option<Raw> {
        None
    }

    /// Says whether the host has served the object by itself since it was last asked: memory counts that as a use.
    fn take_use(&self) -> bool {
        false
    }
}

/// The host's own object, shared.
pub type Live = Arc<dyn Object>;

/// One reference to an object of the host, as the host counts them.
#[derive(Debug)]
pub struct Raw(NonNull<()>);

// SAFETY: `Raw::new` demands that the reference may be released by any thread.
unsafe impl Send for Raw {}
// SAFETY: nothing can be done with a shared one but to look at the pointer.
unsafe impl Sync for Raw {}

/// How references are released. A process has one host that gives pointers, so they need not carry it.
static RELEASE: OnceLock<unsafe fn(NonNull<()>)> = OnceLock::new();

impl Raw {
    /// Wraps a reference that `release` gives back to the host.
    ///
    /// # Safety
    /// The pointer is even, the caller gives away one reference, `release` may be called with it once, by any thread,
    /// and everybody in this process passes the same `release`.
    pub unsafe fn new(pointer: NonNull<()>, release: unsafe fn(NonNull<()>)) -> Self {
        RELEASE.get_or_init(|| release);
        Self(pointer)
    }

    pub(crate) fn into_pointer(self) -> NonNull<()> {
        std::mem::ManuallyDrop::new(self).0
    }

    /// Takes back what [`Raw::into_pointer`] gave.
    pub(crate) unsafe fn from_pointer(pointer: NonNull<()>) -> Self {
        Self(pointer)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let release = RELEASE.get().expect("what is released was wrapped before");
        // SAFETY: this is the reference that `Raw::new` was given.
        unsafe { release(self.0) };
    }
}

/// How a value became bytes.
///
/// Ids 16 and above belong to one language; another language answers `unsupported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    /// The number that is stored with the bytes.
    pub id: u8,
    /// Tells apart several custom codecs of one process; 0 for all others. It is not stored.
    pub instance: u32,
}

macro_rules! codecs {
    ($( $(#[doc = $doc:literal])+ $name:ident $id:literal $text:literal $content_type:literal; )+) => {
        impl Codec {
            $( $(#[doc = $doc])+ pub const $name: Codec = Codec { id: $id, instance: 0 }; )+

            /// Every codec with a name.
            pub const ALL: &'static [Codec] = &[ $( Codec::$name, )+ ];

            /// Returns the name that configuration and metadata use.
            pub const fn name(self) -> &'static str { match self.id { $( $id => $text, )+ _ => "unknown" } }

            /// Returns the media type of the bytes.
            pub const fn content_type(self) -> &'static str { match self.id { $( $id => $content_type, )+ _ => "application/octet-stream" } }
        }
    };
}

codecs! {
    /// Bytes as they are.
    RAW 1 "raw" "application/octet-stream";
    /// Text.
    UTF8 2 "utf8" "text/plain; charset=utf-8";
    /// JSON (RFC 8259).
    JSON 3 "json" "application/json";
    /// MessagePack.
    MSGPACK 4 "msgpack" "application/vnd.msgpack";
    /// Python's pickle.
    PICKLE 16 "pickle" "application/x-python-pickle";
    /// A Python user's own `dumps` and `loads`.
    PYTHON 17 "custom" "application/octet-stream";
    /// V8's structured serialization.
    V8 32 "v8" "application/x-v8-serialized";
    /// A JavaScript user's own `encode` and `decode`.
    JAVASCRIPT 33 "custom_js" "application/octet-stream";
}

impl Codec {
    /// Finds the codec with this name.
    pub fn parse(name: &str) -> Option<Codec> {
        Codec::ALL.iter().copied().find(|codec| codec.name() == name)
    }

    /// Says whether the codec is a user's own functions: once stored, nothing tells one from another.
    pub const fn is_custom(self) -> bool {
        matches!(self.id, 17 | 33)
    }
}

/// A value under one codec, or the reason why it cannot be written so.
#[derive(Clone, Debug)]
pub struct Form {
    /// The codec.
    pub codec: Codec,
    /// The bytes, or why there are none: a sentence that names the type and the codec.
    pub bytes: Result<Bytes, Arc<str>>,
}

/// A value: the host's own object, its bytes under one or more codecs, or both.
#[derive(Clone, Default)]
pub struct Value {
    live: Option<Live>,
    forms: Option<Arc<[Form]>>,
    size: u64,
}

impl Value {
    /// Makes a value of the host's own object, which takes about `size` bytes of memory (0: not known).
    pub fn live(object: Live, size: u64) -> Self {
        Self { live: Some(object), forms: None, size }
    }

    /// Makes a value of bytes under one codec.
    pub fn bytes(codec: Codec, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { live: None, size: bytes.len() as u64, forms: Some(Arc::new([Form { codec, bytes: Ok(bytes) }])) }
    }

    /// Adds the bytes that far tiers keep.
    #[must_use]
    pub fn with_forms(mut self, forms: Vec<Form>) -> Self {
        self.forms = (!forms.is_empty()).then(|| forms.into());
        self
    }

    /// Returns the host's own object.
    pub fn object(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// Returns the bytes and failures under each codec.
    pub fn forms(&self) -> &[Form] {
        self.forms.as_deref().unwrap_or(&[])
    }

    /// Returns the first form that has bytes.
    pub fn encoded(&self) -> Option<(Codec, &Bytes)> {
        self.forms().iter().find_map(|form| Some((form.codec, form.bytes.as_ref().ok()?)))
    }

    /// Returns the form under `codec`.
    pub fn form(&self, codec: Codec) -> Option<&Form> {
        self.forms().iter().find(|form| form.codec == codec)
    }

    /// Returns about how many bytes of memory the value takes; 0 when it is not known.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("live", &self.live.is_some()).field("forms", &self.forms()).finish()
    }
}
