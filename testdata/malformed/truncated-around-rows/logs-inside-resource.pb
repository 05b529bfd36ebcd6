
j


ser