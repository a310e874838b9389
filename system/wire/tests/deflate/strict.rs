//! An inflater that is slow and strict (RFC 1951): it takes no reference that reaches beyond the window that was agreed
//! on. Others forgive that, because they always have 32 KiB.

const LENGTH_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
];
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

pub(crate) struct Strict {
    window: usize,
    /// Everything inflated so far.
    history: Vec<u8>,
}

impl Strict {
    pub(crate) fn new(window_bits: u8) -> Self {
        Strict { window: 1 << window_bits, history: Vec::new() }
    }

    pub(crate) fn forget(&mut self) {
        self.history.clear();
    }

    /// The content of whole blocks up to the end of `input`.
    pub(crate) fn inflate(&mut self, input: &[u8]) -> Vec<u8> {
        let start = self.history.len();
        let mut bits = Bits { input, at: 0 };
        while bits.at < input.len() * 8 {
            assert_eq!(bits.take(1), 0, "a server sends no last block");
            match bits.take(2) {
                0 => self.stored(&mut bits),
                1 => self.codes(&mut bits, &fixed(), &Code::new(&[5; 30])),
                2 => {
                    let (lengths, distances) = dynamic(&mut bits);
                    self.codes(&mut bits, &lengths, &distances);
                }
                kind => panic!("a block of type {kind}"),
            }
        }
        self.history[start..].to_vec()
    }

    fn stored(&mut self, bits: &mut Bits<'_>) {
        bits.at = bits.at.next_multiple_of(8);
        let (length, complement) = (bits.take(16), bits.take(16));
        assert_eq!(length, !complement & 0xffff, "the length of a stored block");
        let start = bits.at / 8;
        self.history.extend_from_slice(&bits.input[start..start + length]);
        bits.at += length * 8;
    }

    fn codes(&mut self, bits: &mut Bits<'_>, lengths: &Code, distances: &Code) {
        loop {
            match lengths.symbol(bits) {
                literal @ 0..256 => self.history.push(literal as u8),
                256 => return,
                length => {
                    let length = usize::from(LENGTH_BASE[length - 257]) + bits.take(LENGTH_BITS[length - 257]);
                    let symbol = distances.symbol(bits);
                    let more = (symbol as u8 / 2).saturating_sub(1);
                    self.copy(usize::from(DISTANCE_BASE[symbol]) + bits.take(more), length);
                }
            }
        }
    }

    fn copy(&mut self, distance: usize, length: usize) {
        assert!(distance <= self.window, "{distance} bytes back, from a window of {}", self.window);
        assert!(distance <= self.history.len(), "{distance} bytes back, of {}", self.history.len());
        for _ in 0..length {
            self.history.push(self.history[self.history.len() - distance]);
        }
    }
}

struct Bits<'a> {
    input: &'a [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u8) -> usize {
        let bit = |nth: usize| usize::from(self.input[nth / 8] >> (nth % 8) & 1);
        let bits = (0..usize::from(count)).map(|nth| bit(self.at + nth) << nth).sum();
        self.at += usize::from(count);
        bits
    }
}

/// A Huffman code.
struct Code {
    /// How many codes there are of each length.
    counts: [usize; 16],
    /// In the order of their codes.
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Code { counts, symbols }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

fn fixed() -> Code {
    Code::new(&[&[8; 144][..], &[9; 112], &[7; 24], &[8; 8]].concat())
}

fn dynamic(bits: &mut Bits<'_>) -> (Code, Code) {
    let (lengths, distances, orders) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut order = [0; 19];
    for at in &ORDER[..orders] {
        order[*at] = bits.take(3) as u8;
    }
    let order = Code::new(&order);
    let mut found = Vec::new();
    while found.len() < lengths + distances {
        let (length, times) = match order.symbol(bits) {
            length @ 0..16 => (length as u8, 1),
            16 => (*found.last().expect("a length to repeat"), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            _ => (0, 11 + bits.take(7)),
        };
        found.extend(std::iter::repeat_n(length, times));
    }
    (Code::new(&found[..lengths]), Code::new(&found[lengths..]))
}
