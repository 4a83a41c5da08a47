//! Letters as strokes of a pen, on a grid four wide and six high, with two rows below the line.

/// Gap after a letter, and width of a space, in units of the grid.
const GAP: f64 = 1.7;
const SPACE: f64 = 2.0;
/// Height of a capital in units of the grid.
pub(crate) const CAPITAL: f64 = 6.0;

/// The strokes of a letter, each a list of points in units of the grid, growing to the right and
/// down; a box where there is no such letter.
pub(crate) fn strokes(letter: char) -> Vec<Vec<[f64; 2]>> {
    let digit = |byte: u8| f64::from(byte.saturating_sub(b'0'));
    let stroke = |points: &str| -> Vec<[f64; 2]> {
        let pairs = points.as_bytes().chunks_exact(2);
        pairs.map(|pair| [digit(pair[0]), digit(pair[1])]).collect()
    };
    glyph(letter).split(' ').map(stroke).collect()
}

/// The columns that a letter takes: the first, and how far it is to the next letter.
pub(crate) fn extent(letter: char) -> (f64, f64) {
    let columns = strokes(letter).into_iter().flatten().map(|[x, _]| x);
    let (low, high) = columns.fold((f64::INFINITY, 0.0_f64), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    if low.is_finite() {
        (low, high - low + GAP)
    } else {
        (0.0, SPACE + GAP)
    }
}

/// Points as pairs of digits, column and row; a space lifts the pen.
const fn glyph(letter: char) -> &'static str {
    match letter {
        ' ' => "",
        'A' => "062046 1434",
        'B' => "000636454433033342413000",
        'C' => "4130100105163645",
        'D' => "00062645412000",
        'E' => "40000646 0333",
        'F' => "400006 0333",
        'G' => "41301001051636454323",
        'H' => "0006 4046 0343",
        'I' => "2026 1030 1636",
        'J' => "3035261605",
        'K' => "0006 4004 1346",
        'L' => "000646",
        'M' => "0600234046",
        'N' => "06004640",
        'O' | '0' => "103041453616050110",
        'P' => "06003041423303",
        'Q' => "103041453616050110 2446",
        'R' => "06003041423303 2346",
        'S' => "413010010213334445361605",
        'T' => "0040 2026",
        'U' => "000516364540",
        'V' => "002640",
        'W' => "0016233640",
        'X' => "0046 4006",
        'Y' => "002340 2326",
        'Z' => "00400646",
        'a' => "4246 4332120305163645",
        'b' => "0006 0312324345361605",
        'c' => "4332120305163645",
        'd' => "4046 4332120305163645",
        'e' => "04444332120305163645",
        'f' => "40302126 1232",
        'g' => "4247381807 4332120305163645",
        'h' => "0006 0312324346",
        'i' => "2226 2020",
        'j' => "222718 2020",
        'k' => "0006 4204 1346",
        'l' => "2026",
        'm' => "0206 03122326 23324346",
        'n' => "0206 0312324346",
        'o' => "123243453616050312",
        'p' => "0208 0312324345361605",
        'q' => "4248 4332120305163645",
        'r' => "0206 03123242",
        's' => "43321203143445361605",
        't' => "20253646 0242",
        'u' => "0205163645 4246",
        'v' => "022642",
        'w' => "0216233642",
        'x' => "0246 4206",
        'y' => "0226 4218",
        'z' => "02420646",
        '1' => "112026 1636",
        '2' => "01103041420646",
        '3' => "011030414233 13334445361605",
        '4' => "36300444",
        '5' => "40000212324345361605",
        '6' => "413010010516364544331304",
        '7' => "004016",
        '8' => "13020110304142331304051636454433",
        '9' => "051636454130100102133342",
        '.' => "2626",
        ',' => "2617",
        ':' => "2323 2626",
        '%' => "4006 0010110100 3545463635",
        '-' => "1333",
        '+' => "0343 2125",
        '/' => "4006",
        '(' => "30212536",
        ')' => "10212516",
        '=' => "0242 0444",
        '<' => "410345",
        '>' => "014305",
        '$' => "413010010213334445361605 2026",
        _ => "0040460600",
    }
}
