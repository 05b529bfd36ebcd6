
÷


service.name
shopÚ

probe