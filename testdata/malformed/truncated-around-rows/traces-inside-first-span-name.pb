
÷


service.name
shopÚ

probe6
 ¡¢£¤¥¦§¨©ª«¬­®¯*bef