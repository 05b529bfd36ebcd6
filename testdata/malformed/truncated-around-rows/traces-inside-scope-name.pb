
÷


service.name
shopÚ

pr