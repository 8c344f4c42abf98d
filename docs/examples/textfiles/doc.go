// Package textfiles finds the text files under a folder, cuts them into splits of about equal size,
// and yields their words. It is what the word count and the inverted index share, and knows nothing
// of Fanfold.
//
// A word is a maximal run of the ASCII letters A-Z and a-z, case kept: exactly the tokens of
//
//	tr -cs 'A-Za-z' '\n' <file
//
// under LC_ALL=C, without the empty one. Words never join over the border of two files.
//
// A text file is a regular file whose first 8 KiB hold no NUL byte. Symbolic links are not followed.
package textfiles
