# Flattens a JSON document: one line a leaf, "path<TAB>value", array indices from 0. Strings are decoded, newlines in them become spaces.
{ text = text $0 "\n" }
END { at = 1; value("") ; }
function skip() { while (substr(text, at, 1) ~ /[ \t\r\n]/) at++ }
function value(path,    c, key, count, word) {
    skip()
    c = substr(text, at, 1)
    if (c == "{") {
        at++; skip()
        while (at <= length(text) && substr(text, at, 1) != "}") {
            key = string(); skip(); at++                # the colon
            value(path == "" ? key : path "." key); skip()
            if (substr(text, at, 1) == ",") { at++; skip() }
        }
        at++
    } else if (c == "[") {
        at++; skip(); count = 0
        while (at <= length(text) && substr(text, at, 1) != "]") {
            value(path == "" ? count : path "." count); count++; skip()
            if (substr(text, at, 1) == ",") { at++; skip() }
        }
        at++
    } else if (c == "\"") {
        print path "\t" string()
    } else {
        word = ""
        while (at <= length(text) && substr(text, at, 1) ~ /[-+.0-9A-Za-z]/) { word = word substr(text, at, 1); at++ }
        if (word == "") at = length(text) + 1           # not JSON: stop
        else print path "\t" word
    }
}
function string(    out, c) {
    at++
    out = ""
    while (at <= length(text) && (c = substr(text, at, 1)) != "\"") {
        if (c == "\\") {
            at++; c = substr(text, at, 1)
            if (c == "n" || c == "t" || c == "r") c = " "
            else if (c == "b" || c == "f") c = ""
            else if (c == "u") { c = sprintf("%c", hex(substr(text, at + 1, 4))); at += 4 }
        }
        out = out c; at++
    }
    at++
    gsub(/\n/, " ", out)
    return out
}
function hex(digits,    i, number) {
    number = 0
    for (i = 1; i <= 4; i++) number = number * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
    return number
}
